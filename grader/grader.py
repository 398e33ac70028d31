"""The chain in front of a backend: memory, Redis, flights, batcher, backend; and back.

Owns the order in which they are asked and the promise that a grade, once made, stays. Knows nothing of rewards, of
HTTP, or of what a backend is.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from grader import events
from grader.asking import Asking
from grader.backends.base import Backend
from grader.cache.base import Entry
from grader.cache.codec import GradeCodec
from grader.cache.memory import MemoryCache
from grader.cache.redis import RedisCache
from grader.cache.remote import RemoteCache
from grader.cache.write_behind import WriteBehind
from grader.flights import Flight
from grader.grades import DEADLINE_EXCEEDED, INVALID_TEXT, Answer, Grade, Unscorable
from grader.keys import Keys
from grader.lookups import Lookup
from grader.tasks import GradeTask

DEFAULT_DRAIN_SECONDS: Final = 5.0

_LATE: Final = Unscorable(DEADLINE_EXCEEDED, "the deadline passed before the grader answered", transient=True)
_INVALID_TEXT: Final = Unscorable(INVALID_TEXT, "the conversation holds characters that have no UTF-8")


class Graded(NamedTuple):
    """``answers`` aligned with the task's propositions; ``cached``: how many of them were made before this call."""

    answers: tuple[Answer, ...]
    cached: int


@dataclass(frozen=True, slots=True)
class GraderStats:
    """The chain at this moment. ``breaker`` is closed, open, half_open, or None without Redis."""

    memory_conversations: int
    memory_bytes: int
    flights: int
    queued_tokens: int
    running_tokens: int
    waiting_writes: int
    breaker: str | None


class Grader:
    """Grades tasks; one object a process and event loop.

    ``remote`` has a listener of its own, for its breaker and what bypasses it: give it the same one. ``start`` starts
    the backend. ``aclose`` answers calls still under way as unscorable, writes what still waits to
    Redis, and closes ``remote`` and the backend; calls and writes get ``drain_seconds`` each to end. A consumer that
    may stop reading a `stream` early should close it (`contextlib.aclosing`), which frees its work at once.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        memory: MemoryCache[Grade],
        remote: RedisCache | None = None,
        listener: events.Listener = events.ignore,
        drain_seconds: float = DEFAULT_DRAIN_SECONDS,
    ) -> None:
        self._backend = backend
        self._memory = memory
        self._redis = remote
        self._listener = listener
        self._drain_seconds = drain_seconds
        self._keys = Keys(backend.fingerprint)
        self._asking = Asking(backend, memory, listener, self._made)
        self._remote: RemoteCache[Grade] | None = None
        if remote is not None:
            self._remote = RemoteCache(remote, GradeCodec(), listener)
        self._writes: WriteBehind[Grade] = WriteBehind(self._write, self._writes_dropped)

    @property
    def backend(self) -> Backend:
        return self._backend

    @property
    def stats(self) -> GraderStats:
        return GraderStats(
            memory_conversations=len(self._memory),
            memory_bytes=self._memory.approximate_bytes,
            flights=self._asking.flights,
            queued_tokens=self._asking.queued_tokens,
            running_tokens=self._asking.running_tokens,
            waiting_writes=self._writes.waiting,
            breaker=None if self._redis is None else self._redis.breaker_state,
        )

    async def start(self) -> None:
        """Raises `grader.errors.BackendUnavailable` with the remedy."""
        try:
            await self._backend.start()
        except BaseException:
            await self._backend.aclose()
            raise

    async def aclose(self) -> None:
        try:
            await self._asking.aclose(self._drain_seconds)
            await self._writes.drain(self._drain_seconds)
        finally:
            try:
                if self._redis is not None:
                    await self._redis.aclose()
            finally:
                await self._backend.aclose()

    async def grade(self, tasks: Sequence[GradeTask], deadline: float | None = None) -> list[Graded]:
        """What `stream` gives, in the order of the tasks."""
        graded: dict[int, Graded] = {}
        async for part in self.stream(tasks, deadline):
            graded.update(part)
        return [graded[index] for index in range(len(tasks))]

    async def stream(
        self, tasks: Sequence[GradeTask], deadline: float | None = None
    ) -> AsyncGenerator[list[tuple[int, Graded]], None]:
        """Parts of the result as they come, each task once, as (index, graded).

        ``deadline`` (monotonic seconds): what is missing then is unscorable, `DEADLINE_EXCEEDED`. Raises
        `grader.errors.Overloaded` before the first part, with nothing of the call queued; a call that the caches
        answer whole is never refused. A failing backend is no error: its answers are unscorable.
        """
        graded, lookups = self._remembered(tasks)
        if not lookups:
            if graded:
                yield graded
            return
        if self._remote is not None:
            await self._recall(self._remote, lookups)
        waiter = self._asking.waiter()
        try:
            if deadline is None or time.monotonic() < deadline:
                self._asking.board(lookups, waiter)
            else:
                _give_up(lookups)
            graded += [_graded(lookup) for lookup in lookups if lookup.complete]
            if graded:
                yield graded
            while waiter.waiting:
                landed = await waiter.landed(deadline)
                if landed:
                    graded = [_graded(lookup) for lookup in _fill(landed)]
                else:
                    late = waiter.leave()
                    _give_up(late)
                    graded = [_graded(lookup) for lookup in dict.fromkeys(late)]
                if graded:
                    yield graded
        finally:
            waiter.leave()

    # Looking up

    def _remembered(self, tasks: Sequence[GradeTask]) -> tuple[list[tuple[int, Graded]], list[Lookup]]:
        """What memory answers whole, and look-ups for the rest. The warm path: a microsecond or two a task."""
        started = time.perf_counter()
        keys = self._current_keys()
        key_of, plan_of, remembered = keys.key, keys.plan, self._memory.get
        graded: list[tuple[int, Graded]] = []
        lookups: list[Lookup] = []
        hits = misses = 0
        for index, task in enumerate(tasks):
            fields, take = plan_of(task.propositions)
            try:
                key = key_of(task)
            except UnicodeEncodeError:
                graded.append((index, Graded((_INVALID_TEXT,) * len(fields), 0)))
                continue
            entry = remembered(key)
            if entry is not None:
                try:
                    graded.append((index, Graded(take(entry), len(fields))))
                except KeyError:
                    pass
                else:
                    hits += len(fields)
                    continue
            lookup = Lookup(index, task, key, fields)
            if entry is not None:
                lookup.recall(entry)
            if lookup.complete:  # no propositions
                graded.append(_graded(lookup))
                continue
            lookups.append(lookup)
            hits += lookup.cached
            misses += len(fields) - lookup.cached
        if hits or misses:
            self._listener(events.CacheLookup("memory", hits, misses, time.perf_counter() - started))
        return graded, lookups

    def _current_keys(self) -> Keys:
        fingerprint = self._backend.fingerprint
        if fingerprint != self._keys.backend_fingerprint:
            # A remote model may be known only after the start, or be exchanged behind its address.
            self._keys = Keys(fingerprint)
        return self._keys

    async def _recall(self, remote: RemoteCache[Grade], lookups: Sequence[Lookup]) -> None:
        """Fill in what Redis has. What it has stands above what this process made meanwhile: it was first."""
        found = await remote.read([lookup.wanted() for lookup in lookups])
        for lookup, values in zip(lookups, found, strict=True):
            if values:
                self._memory.replace(lookup.key, values)
                lookup.recall(values)

    # Writing Redis

    def _made(self, key: bytes, grades: Mapping[bytes, Grade]) -> None:
        if self._remote is not None:
            self._writes.put(key, grades)

    async def _write(self, entries: Sequence[Entry[Grade]]) -> None:
        """What another replica had written first replaces what we made, so that the replicas converge."""
        if self._remote is not None:
            for key, values in await self._remote.write(entries):
                self._memory.replace(key, values)

    def _writes_dropped(self, grades: int) -> None:
        self._listener(events.CacheBypassed("write", "full", grades))


def _fill(landed: Sequence[tuple[Flight[Answer], list[Lookup]]]) -> list[Lookup]:
    """Hand landed answers to the look-ups that wait for them; returns those that are complete now."""
    complete: list[Lookup] = []
    for flight, lookups in landed:
        answers: Any = flight.answers
        complete += [lookup for lookup in lookups if lookup.answer(answers)]
    return complete


def _give_up(lookups: Sequence[Lookup]) -> None:
    for lookup in lookups:
        lookup.give_up(_LATE)


def _graded(lookup: Lookup) -> tuple[int, Graded]:
    return lookup.index, Graded(lookup.answers(), lookup.cached)
