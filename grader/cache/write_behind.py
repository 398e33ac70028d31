"""Writes that nobody waits for: collected while one write is under way, sent together, drained at close."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Final, Generic, TypeVar

from grader.cache.base import Entry

logger = logging.getLogger(__name__)

V = TypeVar("V")

DEFAULT_MAX_VALUES: Final = 200_000
_KEYS_A_WRITE: Final = 256


class WriteBehind(Generic[V]):
    """``write`` is called by one background task at a time and should not raise.

    ``max_values`` that wait; more are dropped, because a slow Redis must not eat the process's memory. ``dropped`` is
    called with how many.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Entry[V]]], Awaitable[None]],
        dropped: Callable[[int], None],
        *,
        max_values: int = DEFAULT_MAX_VALUES,
    ) -> None:
        self._write = write
        self._dropped = dropped
        self._max_values = max_values
        self._waiting: dict[bytes, dict[bytes, V]] = {}
        self._values = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Values not yet handed to ``write``."""
        return self._values

    def put(self, key: bytes, values: Mapping[bytes, V]) -> None:
        if self._values + len(values) > self._max_values:
            self._dropped(len(values))
            return
        fields = self._waiting.setdefault(key, {})
        size_before = len(fields)
        fields.update(values)
        self._values += len(fields) - size_before
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="grade-writes")

    async def drain(self, timeout_seconds: float) -> None:
        """Wait until everything is written, at most so long. The rest is dropped, and so is a write that is still under
        way: part of it may have arrived.
        """
        if self._task is not None:
            await asyncio.wait([self._task], timeout=timeout_seconds)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._values:
            self._dropped(self._values)
            self._waiting.clear()
            self._values = 0

    async def _run(self) -> None:
        try:
            while self._waiting:
                entries = self._take()
                try:
                    await self._write(entries)
                except asyncio.CancelledError:
                    self._dropped(sum(len(entry.values) for entry in entries))
                    raise
        except Exception:
            logger.exception("a background write failed")
        finally:
            self._task = None

    def _take(self) -> list[Entry[V]]:
        keys = list(islice(self._waiting, _KEYS_A_WRITE))
        entries = [Entry(key, self._waiting.pop(key)) for key in keys]
        self._values -= sum(len(entry.values) for entry in entries)
        return entries
