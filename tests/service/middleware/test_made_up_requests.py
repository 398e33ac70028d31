"""Headers and paths that were made up: none opens anything, none fails, and no refusal repeats any."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from service.app import create_app
from tests.service.access.support import key_file
from tests.service.parts import make_service


class Asked(NamedTuple):
    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]]


class App:
    """The app with its lifespan, asked by raw scopes: a client would refuse to send half of these."""

    def __init__(self, folder: Path) -> None:
        self.file = key_file(folder)
        self._app = create_app(make_service(keys_file=self.file.path))
        self._runner = asyncio.Runner()
        self._life = self._app.router.lifespan_context(self._app)
        self._runner.run(self._life.__aenter__())

    def close(self) -> None:
        self._runner.run(self._life.__aexit__(None, None, None))
        self._runner.close()

    def ask(self, path: str, *authorization: bytes, method: str = "GET") -> Asked:
        return self._runner.run(self._ask(path, authorization, method))

    async def _ask(self, path: str, authorization: tuple[bytes, ...], method: str) -> Asked:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
            "raw_path": b"/", "query_string": b"", "root_path": "", "scheme": "http", "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2), "headers": [(b"authorization", value) for value in authorization],
        }  # fmt: skip
        await self._app(scope, receive, send)
        return Asked(sent[0]["status"], b"".join(each.get("body", b"") for each in sent), sent[0]["headers"])


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    app = App(tmp_path_factory.mktemp("keys"))
    yield app
    app.close()


FUZZ = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
schemes = st.sampled_from(
    [b"", b"Bearer", b"Bearer ", b"bearer  ", b"Basic ", b"Bearer\t", b"Bearer Bearer ", b"Token "]
)


@FUZZ
@given(st.lists(st.builds(lambda scheme, value: scheme + value, schemes, st.binary(max_size=600)), max_size=3))
@example([b"Bearer " + b"A" * 100_000])
@example([b"Bearer \xff\xfe"])
def test_no_header_that_was_made_up_opens_anything(app: App, values: list[bytes]) -> None:
    for path in ("/info", "/metrics", "/nothing"):
        reply = app.ask(path, *values)
        assert reply.status == 401
        assert any(name == b"www-authenticate" for name, _ in reply.headers)
    assert app.ask("/health", *values).status == 200


@FUZZ
@given(st.text(max_size=60), st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "\u00e9"]))
@example("/t/", "GET")
@example("/t/\udcff/info", "GET")
@example("/t/../health", "GET")
@example("/health/../info", "GET")
@example("/health\x00", "GET")
@example("/HEALTH", "GET")
@example("/t/x/t/y/info", "GET")
def test_no_path_that_was_made_up_is_answered_without_a_key(app: App, path: str, method: str) -> None:
    for asked in (f"/{path}", f"/t/{path}", f"/t/token/{path}", f"/v1/{path}"):
        reply = app.ask(asked, method=method)
        _, _, told = asked.partition("/t/")
        open_paths = {"/health", "/ready"}
        if asked in open_paths or ("/t/" in asked and f"/{told.partition('/')[2]}" in open_paths):
            continue
        assert reply.status == 401, asked


@FUZZ
@given(st.text(max_size=60))
@example("\udcff")
def test_no_path_that_was_made_up_fails_with_a_key(app: App, path: str) -> None:
    header = f"Bearer {app.file.tokens['score']}".encode()
    assert app.ask(f"/{path}", header).status < 500
    reply = app.ask(f"/t/{app.file.tokens['score']}/{path}")
    assert reply.status < 500
    assert app.file.tokens["score"].encode() not in reply.body


@FUZZ
@given(  # without /, which would end the token: what comes after it may be the path of an open call
    st.text(st.characters(codec="ascii", categories=["L", "N", "P"], exclude_characters="/"), min_size=1, max_size=60)
)
def test_no_refusal_repeats_what_was_sent(app: App, stream: io.StringIO, middle: str) -> None:
    secret = f"s3cret-{middle}"
    replies = [
        app.ask("/info", f"Bearer {secret}".encode()),
        app.ask("/info", f"Basic {secret}".encode()),
        app.ask(f"/t/{secret}/info"),
        app.ask(f"/t/{secret}"),
    ]
    assert '"refused":' in stream.getvalue()
    assert "s3cret" not in stream.getvalue()
    for reply in replies:
        assert reply.status == 401
        assert b"s3cret" not in reply.body + b"".join(value for _, value in reply.headers)
