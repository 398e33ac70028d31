"""``BACKEND[:WHERE]``: what is found, and what a person is told when it is not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from grader.backends.http import HttpBackend, base_url
from grader.backends.registry import create_backend
from grader.errors import BackendSpecError
from tests.support import ROOT


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        (" http://127.0.0.1:8000/v1/ ", "http://127.0.0.1:8000/v1"),
        ("http://[::1]:8000/v1/chat/completions", "http://[::1]:8000/v1"),
        ("https://host.example/api", "https://host.example/api/v1"),
        ("https://host.example/v1beta/openai/", "https://host.example/v1beta/openai"),
    ],
)
def test_a_url_is_understood_with_and_without_its_version(url: str, base: str) -> None:
    assert base_url(url) == base


@pytest.mark.parametrize(
    "url", ["http://", "ftp://host/v1", "host:8000", "127.0.0.1", "http://host:99999/v1", "http://[::1"]
)
def test_what_is_no_http_url_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(BackendSpecError, match="http:http://127"):
        base_url(url)


@pytest.mark.parametrize(
    "url", ["http://user:hunter2@host/v1", "http://host/v1?api_key=hunter2", "http://host/v1#hunter2"]
)
def test_a_url_that_carries_a_secret_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(BackendSpecError) as caught:
        base_url(url)
    assert "hunter2" not in repr(caught.value)


def test_http_takes_its_url_and_options() -> None:
    backend = create_backend(
        "http:http://127.0.0.1:9/v1", model="m", api_key="k", label_mass_floor=0.7, timeout_seconds=None
    )
    assert isinstance(backend, HttpBackend)
    assert backend.identity.startswith("http:m:")
    assert backend.description["label_mass_floor"] == 0.7


@pytest.mark.parametrize("spec", ["", "gpt", "vllm:model", "transformers:model", "Http:http://h/v1", ":x"])
def test_an_unknown_name_lists_what_exists(spec: str) -> None:
    with pytest.raises(BackendSpecError) as caught:
        create_backend(spec)
    assert all(name in str(caught.value) for name in ("embedded", "embedded:ARTIFACT_DIR", "http:http://"))
    assert caught.value.field == "grader"


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("http", "needs a URL"),
        ("http:", "needs a URL"),
        ("http://127.0.0.1:8000/v1", "http:http://127.0.0.1:8000/v1"),
        ("https://host.example/v1", "http:https://host.example/v1"),
        ("http:file:///etc/passwd", "http:http://127"),
        ("embedded:/nowhere/at/all", "rbr distill"),
    ],
)
def test_a_wrong_where_says_what_to_write(spec: str, hint: str) -> None:
    with pytest.raises(BackendSpecError, match=hint):
        create_backend(spec)


def test_an_option_of_another_backend_is_refused_and_none_is_no_option() -> None:
    with pytest.raises(BackendSpecError, match="embedded grader has no option model") as caught:
        create_backend("embedded", model="m", api_key=None)
    assert caught.value.field == "model"


@pytest.mark.parametrize(
    "options", [{"api_key": "sl\u00fcssel-hunter2"}, {"api_key": "a\nhunter2"}, {"extra_body": {"x": object()}}]
)
def test_an_option_that_cannot_be_sent_is_refused_at_once(options: dict[str, object]) -> None:
    with pytest.raises(BackendSpecError) as caught:
        create_backend("http:http://127.0.0.1:9/v1", **options)
    assert "hunter2" not in repr(caught.value)


def test_the_registry_imports_no_backend_before_it_is_asked_for() -> None:
    lazy = ("httpx", "grader.backends.http", "grader.backends.embedded")
    code = f"import sys, grader.backends.registry; sys.exit(any(name.startswith({lazy}) for name in sys.modules))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
