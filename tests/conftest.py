"""Fixtures for tests of several packages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_server import RedisServer


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
