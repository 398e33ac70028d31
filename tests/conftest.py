"""Fixtures for tests of several packages."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.chat_server import ChatServer
from tests.redis_server import RedisServer

# How long examples take to make says how busy the machine is, and nothing of the code.
settings.register_profile("any machine", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# A shell that starts the tests in the background has them ignore Ctrl-C, which some of them send.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def _redis_process() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server(_redis_process: RedisServer) -> RedisServer:
    """A running, empty server; a test that kills it must start it again, or take `own_redis_server`."""
    assert _redis_process.command("FLUSHALL") == b"+OK\r\n"
    return _redis_process


@pytest.fixture
def own_redis_server() -> Iterator[RedisServer]:
    """A running server for one test, which may kill and restart it."""
    server = RedisServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _chat_process() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


@pytest.fixture
def chat_server(_chat_process: ChatServer) -> ChatServer:
    """One server for all tests, as new: starting one for each would take most of the time."""
    _chat_process.reset()
    return _chat_process
