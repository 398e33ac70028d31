"""One chat server for the tests of the http backend, as new for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from grader.backends.http import HttpBackend
from tests.chat_server import ChatServer
from tests.grader.backends.http.support import serving


@pytest.fixture(scope="module")
def running() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


@pytest.fixture
def server(running: ChatServer) -> ChatServer:
    """One server for all tests, as new: starting one for each would take most of the time."""
    running.reset()
    return running


@pytest.fixture
async def started(server: ChatServer) -> AsyncIterator[HttpBackend]:
    async with serving(server) as backend:
        yield backend
