"""On a real socket: streaming, disconnects, draining, faults at start."""

from __future__ import annotations

import asyncio
import json
import signal
import socket

import httpx
import pytest

from grader.errors import BackendMisconfigured
from models.errors import UnfittedWeights
from service.bootstrap import open_service
from service.graders import open_grader
from service.server import Server
from service.settings import Settings, SettingsError
from tests.service.live import live
from tests.service.parts import TextBackend, backend_of, batch, make_service, one, weights_of

LINES = {"Accept": "application/x-ndjson"}


async def until(condition: object, seconds: float = 5.0) -> None:
    """Poll a condition; the test fails where it never holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def test_lines_arrive_before_slow_samples_are_graded() -> None:
    async with live() as (server, client):
        document = batch(one(completion="SLOW", response_type="comply"), one(completion="", response_type="comply"))
        known = one(completion="known", response_type="comply")
        await client.post("/v1/rewards", json=batch(known))
        document["samples"].append(known)
        async with client.stream("POST", "/v1/rewards", json=document, headers=LINES) as reply:
            lines = reply.aiter_lines()
            early = [json.loads(await anext(lines))["index"] for _ in range(2)]
            assert not backend_of(server.service).slow_gate.is_set()
            backend_of(server.service).slow_gate.set()
            late = [json.loads(line) async for line in lines]
    assert sorted(early) == [1, 2]
    assert (late[0]["index"], late[1]["done"]) == (0, True)


@pytest.mark.parametrize("path", ["/v1/rewards", "/v1/grades"])
@pytest.mark.parametrize("headers", [{}, LINES])
async def test_a_client_that_goes_away_frees_its_work(path: str, headers: dict[str, str]) -> None:
    async with live() as (server, client):
        backend = backend_of(server.service)
        waiting = asyncio.create_task(
            client.post(path, json=batch(one(completion="SLOW", response_type="comply")), headers=headers)
        )
        await until(lambda: server.service.grader.stats.running_tokens > 0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await until(lambda: backend.cancelled == 1 and server.service.grader.stats.running_tokens == 0)
        await until(lambda: "499" in server.service.metrics.render("")[0].decode())
        assert (await client.post("/v1/rewards", json=batch(one()))).status_code == 200


async def test_a_client_that_goes_away_during_a_stream_frees_its_work() -> None:
    async with live() as (server, client):
        backend = backend_of(server.service)
        document = batch(one(completion="SLOW", response_type="comply"), one(completion="", response_type="comply"))
        known = one(completion="known", response_type="comply")
        await client.post("/v1/rewards", json=batch(known))
        document["samples"].append(known)
        async with client.stream("POST", "/v1/rewards", json=document, headers=LINES) as reply:
            await anext(reply.aiter_lines())
        await until(lambda: backend.cancelled == 1 and server.service.grader.stats.running_tokens == 0)


async def test_one_of_two_waiting_clients_going_away_leaves_the_other_its_answer() -> None:
    async with live() as (server, client):
        document = batch(one(completion="SLOW", response_type="comply"))
        first, second = (asyncio.create_task(client.post("/v1/rewards", json=document)) for _ in range(2))
        await until(lambda: server.service.grader.stats.running_tokens > 0)
        await asyncio.sleep(0.1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await asyncio.sleep(0.1)
        backend_of(server.service).slow_gate.set()
        assert (await second).json()["results"][0]["valid"]
        assert backend_of(server.service).cancelled == 0


async def test_requests_under_way_are_answered_when_the_server_is_told_to_stop() -> None:
    async with live(drain_delay_seconds=3) as (server, client):
        document = batch(one(completion="SLOW", response_type="comply"))
        waiting = asyncio.create_task(client.post("/v1/rewards", json=document))
        await until(lambda: server.service.grader.stats.running_tokens > 0)
        server.handle_exit(signal.SIGTERM, None)
        ready = await client.get("/ready")
        assert (ready.status_code, server.should_exit) == (503, False)
        assert (await client.post("/v1/rewards", json=batch(one()))).status_code == 200
        await until(lambda: server.should_exit)
        await asyncio.sleep(0.3)
        backend_of(server.service).slow_gate.set()
        assert (await waiting).json()["results"][0]["valid"]
        address = server.address if server.servers and server.servers[0].sockets else None
    if address is not None:
        with pytest.raises(httpx.ConnectError):
            await httpx.AsyncClient().get(f"http://{address[0]}:{address[1]}/health")


async def test_a_signal_only_wakes_the_event_loop() -> None:
    """Its handler may interrupt code that holds a lock of the metrics, which draining takes."""
    async with live() as (server, _):
        server.handle_exit(signal.SIGTERM, None)
        assert not server.service.draining
        await until(lambda: server.service.draining and server.should_exit)


async def test_a_second_signal_does_not_wait() -> None:
    async with live() as (server, client):
        waiting = asyncio.create_task(
            client.post("/v1/rewards", json=batch(one(completion="SLOW", response_type="comply")))
        )
        await until(lambda: server.service.grader.stats.running_tokens > 0)
        server.handle_exit(signal.SIGTERM, None)
        server.handle_exit(signal.SIGTERM, None)
        await until(lambda: server.force_exit)
        backend_of(server.service).slow_gate.set()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_a_body_larger_than_allowed_is_refused_while_it_is_being_sent() -> None:
    async with live(max_body_bytes=100_000) as (_, client):
        reply = await client.post(
            "/v1/rewards", content=b" " * 10_000_000, headers={"Content-Type": "application/json"}
        )
        assert (reply.status_code, reply.json()["error"]["type"]) == (413, "too_large")
        assert (await client.get("/health")).status_code == 200


async def test_half_a_body_harms_nobody() -> None:
    async with live() as (server, client):
        host, port = server.address
        _, writer = await asyncio.open_connection(host, port)
        writer.write(
            b"POST /v1/rewards HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 99\r\n\r\n{"
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        await until(lambda: 'status="499"' in server.service.metrics.render("")[0].decode())
        assert (await client.get("/health")).status_code == 200


HALF = (
    b"POST /v1/rewards HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n%s\r\n{"
)


async def test_a_body_that_never_ends_is_given_up_at_the_deadline() -> None:
    async with live() as (server, client):
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(HALF % b"X-Request-Timeout-Ms: 50\r\n")
        head, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert json.loads(body)["error"]["type"] == "request_timeout"
        writer.close()
        assert (await client.get("/health")).status_code == 200


async def test_a_body_that_is_still_being_sent_does_not_hold_the_server_up(caplog: pytest.LogCaptureFixture) -> None:
    async with live(drain_delay_seconds=3) as (server, client):
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(HALF % b"")
        await until(lambda: server.service.lifecycle._reads)
        server.handle_exit(signal.SIGTERM, None)
        await until(lambda: server.service.draining)
        assert (await client.post("/v1/rewards", json=batch(one()))).status_code == 200
        assert server.service.lifecycle._reads
        reply = await asyncio.wait_for(reader.read(), 5)
        assert reply.startswith(b"HTTP/1.1 503 ")
        assert b"not_ready" in reply
        writer.close()
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_fault_that_is_final_stops_the_server_with_its_message() -> None:
    stale = weights_of(make_service().policy)
    stale = type(stale)(**{**stale.__dict__, "grader_identity": "another"})
    with pytest.raises(UnfittedWeights, match="rbr fit"):
        await Server(make_service(weights=stale, port=0)).serve_service()


async def test_a_grader_that_comes_up_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.service._FIRST_RETRY_SECONDS", 0.01)
    backend = TextBackend()
    backend.down = True
    service = make_service(backend=backend, port=0)
    starting = service.start()
    await until(lambda: "down" in service.lifecycle.detail)
    assert not await service.ready()
    backend.down = False
    await starting
    assert await service.ready()
    await service.aclose()


async def test_a_grader_that_refuses_us_is_not_asked_again() -> None:
    class Refusing(TextBackend):
        starts = 0

        async def start(self) -> None:
            self.starts += 1
            raise BackendMisconfigured("HTTP 401; give a valid API key")

    backend = Refusing()
    service = make_service(backend=backend, port=0)
    with pytest.raises(BackendMisconfigured, match="valid API key"):
        await Server(service).serve_service()
    assert backend.starts == 1


async def test_a_grader_whose_warm_up_fails_is_closed_before_it_is_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.service._FIRST_RETRY_SECONDS", 0.01)

    class Counting(TextBackend):
        open = most_open = starts = 0

        async def start(self) -> None:
            self.open, self.starts = self.open + 1, self.starts + 1
            self.most_open = max(self.open, self.most_open)

        async def aclose(self) -> None:
            self.open = 0

    backend = Counting()
    backend.down = True
    service = make_service(backend=backend, port=0)
    starting = service.start()
    await until(lambda: backend.starts == 3)
    backend.down = False
    await starting
    assert (backend.most_open, backend.open) == (1, 1)
    await service.aclose()


async def test_a_command_without_a_server_scores_with_the_packaged_grader() -> None:
    async with open_grader(Settings()) as grader:
        assert grader.backend.identity.startswith("embedded:")
    async with open_service(Settings(allow_unfitted=True)) as service:
        assert await service.ready()


async def test_a_port_that_is_taken_ends_the_server() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        service = make_service(port=taken.getsockname()[1])
        with pytest.raises(SettingsError, match="cannot listen"):
            await Server(service).serve_service()
