"""Single flight: what is being asked is not asked again; whoever wants the same waits for the same answer.

A flight is work under way for one key and several fields. Callers join it through a `Waiter` of their own and never
await the work itself, so that a caller's cancellation or deadline touches nobody else. Knows not what flies.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

A = TypeVar("A")
W = TypeVar("W")

# Timers of some event loops overflow on absurd delays; a waiter simply looks again after this long.
_LONGEST_SLEEP_SECONDS: Final = 3600.0


class Flight(Generic[A]):
    """``answers`` by field once it has landed. Compared by identity."""

    __slots__ = ("_waiters", "answers", "fields", "key")

    def __init__(self, key: bytes, fields: Sequence[bytes]) -> None:
        self.key = key
        self.fields = tuple(fields)
        self.answers: Mapping[bytes, A] | None = None
        self._waiters: dict[Waiter[A, Any], None] = {}

    @property
    def wanted(self) -> bool:
        return bool(self._waiters)


class Flights(Generic[A]):
    """All flights in the air. ``abandoned`` is called with one that has just lost its last waiter; it may `forget` it,
    or leave it in the air for somebody to join.
    """

    def __init__(self, abandoned: Callable[[Flight[A]], None]) -> None:
        self._abandoned = abandoned
        self._by_key: dict[bytes, dict[bytes, Flight[A]]] = {}

    def __len__(self) -> int:
        """Answers awaited (fields, not flights)."""
        return sum(map(len, self._by_key.values()))

    def find(self, key: bytes, field: bytes) -> Flight[A] | None:
        fields = self._by_key.get(key)
        return fields.get(field) if fields is not None else None

    def start(self, key: bytes, fields: Sequence[bytes]) -> Flight[A]:
        """A new flight for fields that `find` does not find."""
        flight: Flight[A] = Flight(key, fields)
        self._by_key.setdefault(key, {}).update(dict.fromkeys(fields, flight))
        return flight

    def land(self, flight: Flight[A], answers: Mapping[bytes, A]) -> None:
        """End the flight; every waiter gets the answers (one a field)."""
        self.forget(flight)
        flight.answers = answers
        waiters = list(flight._waiters)  # noqa: SLF001  # the three classes of this file are one mechanism
        flight._waiters.clear()  # noqa: SLF001
        for waiter in waiters:
            waiter._land(flight)  # noqa: SLF001

    def forget(self, flight: Flight[A]) -> None:
        """End a flight that nobody waits for: the next one who wants the same starts another."""
        fields = self._by_key.get(flight.key)
        if fields is None:
            return
        for field in flight.fields:
            if fields.get(field) is flight:
                del fields[field]
        if not fields:
            del self._by_key[flight.key]

    def waiter(self) -> Waiter[A, W]:
        return Waiter(self._abandoned)


class Waiter(Generic[A, W]):
    """One caller's view of the flights that it joined, each on behalf of some ``who``.

    The caller must call `leave` in the end, however it ends.
    """

    def __init__(self, abandoned: Callable[[Flight[A]], None]) -> None:
        self._abandoned = abandoned
        self._joined: dict[Flight[A], list[W]] = {}
        self._landed: list[tuple[Flight[A], list[W]]] = []
        self._wake_up: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> bool:
        return bool(self._joined or self._landed)

    def join(self, flight: Flight[A], who: W) -> None:
        """Wait for a flight in the air; several ``who`` of one caller may wait for the same."""
        self._joined.setdefault(flight, []).append(who)
        flight._waiters[self] = None  # noqa: SLF001

    async def landed(self, deadline: float | None) -> list[tuple[Flight[A], list[W]]]:
        """What has landed since the last call, and for whom. Nothing means that the deadline (monotonic) has passed."""
        while self._joined and not self._landed:
            left = _LONGEST_SLEEP_SECONDS if deadline is None else deadline - time.monotonic()
            if left <= 0:
                break
            await self._sleep(min(left, _LONGEST_SLEEP_SECONDS))
        landed, self._landed = self._landed, []
        return landed

    def leave(self) -> list[W]:
        """Wait no longer; returns those who had not been answered. Work that nobody wants any more is abandoned."""
        joined, self._joined = self._joined, {}
        for flight in joined:
            flight._waiters.pop(self, None)  # noqa: SLF001
            if not flight.wanted:
                self._abandoned(flight)
        return [who for several in joined.values() for who in several]

    async def _sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._wake_up = loop.create_future()
        timer = loop.call_later(seconds, self._wake)
        try:
            await self._wake_up
        finally:
            timer.cancel()
            self._wake_up = None

    def _wake(self) -> None:
        if self._wake_up is not None and not self._wake_up.done():
            self._wake_up.set_result(None)

    def _land(self, flight: Flight[A]) -> None:
        self._landed.append((flight, self._joined.pop(flight)))
        self._wake()
