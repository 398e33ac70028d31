"""A time limit that counts only time in which the event loop was alive.

A plain `asyncio.timeout` of 50 ms fires when something else blocks the loop for 60 ms, although the reply has long
arrived and lies in the socket: under load a healthy Redis would look dead, and the breaker would open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

_SLICES: Final = 4


@asynccontextmanager
async def patience(seconds: float) -> AsyncIterator[None]:
    """Raise `TimeoutError` in the body after ``seconds``; a blocked loop uses up one quarter of them at most."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def tick(left: int) -> None:
        nonlocal timer
        if left == 0:
            limit.reschedule(loop.time())
        else:
            timer = loop.call_later(seconds / _SLICES, tick, left - 1)

    async with asyncio.timeout(None) as limit:
        timer = loop.call_later(seconds / _SLICES, tick, _SLICES - 1)
        try:
            yield
        finally:
            timer.cancel()
