from __future__ import annotations

import asyncio
import time

import pytest

from grader.cache.patience import patience


async def test_it_ends_what_takes_too_long() -> None:
    with pytest.raises(TimeoutError):
        async with patience(0.02):
            await asyncio.sleep(60)


async def test_what_is_done_in_time_is_left_alone() -> None:
    async with patience(60):
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_a_blocked_loop_does_not_use_the_time_up() -> None:
    """The reply came while the loop was blocked for many times the limit; it is still taken."""
    loop = asyncio.get_running_loop()
    reply = loop.create_future()

    def block() -> None:
        time.sleep(0.2)
        loop.call_soon(lambda: loop.call_soon(reply.set_result, "reply"))

    loop.call_soon(block)
    async with patience(0.04):
        assert await reply == "reply"


async def test_cancellation_from_outside_is_not_taken_for_a_timeout() -> None:
    async def body() -> None:
        async with patience(60):
            await asyncio.sleep(60)

    task = asyncio.create_task(body())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_body_comes_through() -> None:
    with pytest.raises(KeyError):
        async with patience(60):
            raise KeyError
