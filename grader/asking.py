"""From a missing answer to the backend and back: joins flights, starts them, and lands what the batcher brings.

Owns flights and batcher and the promise that identical work in flight is asked once. Redis is not its concern: it
reports what was made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from grader import events
from grader.answers import checked_replies, log_failure, unanswered
from grader.backends.base import Backend
from grader.batching import Abandoned, Batcher, Job
from grader.cache.memory import MemoryCache
from grader.flights import Flight, Flights, Waiter
from grader.grades import Answer, Grade
from grader.lookups import Lookup
from grader.tasks import GradeTask


class _Departure(NamedTuple):
    """A flight to be: the propositions of ``task`` are those of ``fields``."""

    key: bytes
    fields: tuple[bytes, ...]
    task: GradeTask
    tokens: int


class Asking:
    """``made(key, grades)`` is called with every fresh grade, after it stands in memory and its waiters have it."""

    def __init__(
        self,
        backend: Backend,
        memory: MemoryCache[Grade],
        listener: events.Listener,
        made: Callable[[bytes, Mapping[bytes, Grade]], None],
    ) -> None:
        self._backend = backend
        self._memory = memory
        self._listener = listener
        self._made = made
        self._flights: Flights[Answer] = Flights(self._abandoned)
        self._jobs: dict[Flight[Answer], Job[GradeTask, tuple[Answer, ...]]] = {}
        self._batcher: Batcher[GradeTask, tuple[Answer, ...]] = Batcher(self._ask, lambda: backend.limits, listener)

    @property
    def flights(self) -> int:
        """Answers in the air."""
        return len(self._flights)

    @property
    def queued_tokens(self) -> int:
        return self._batcher.queued_tokens

    @property
    def running_tokens(self) -> int:
        return self._batcher.running_tokens

    def waiter(self) -> Waiter[Answer, Lookup]:
        return self._flights.waiter()

    async def aclose(self, timeout_seconds: float) -> None:
        await self._batcher.aclose(timeout_seconds)

    def board(self, lookups: Sequence[Lookup], waiter: Waiter[Answer, Lookup]) -> None:
        """Join what is in the air and start flights for the rest, all or nothing (raises `Overloaded`). Awaits nothing,
        so that between looking and starting nobody else can start the same.
        """
        departures, joined = self._plan(lookups)
        if departures:
            self._batcher.admit(sum(departure.tokens for departure in departures))
        jobs = [self._job(departure) for departure in departures]
        for lookup in lookups:
            flights = [self._flights.find(lookup.key, field) for field in lookup.missing()]
            for flight in dict.fromkeys(flights):
                if flight is not None:
                    waiter.join(flight, lookup)
        self._batcher.submit(jobs)
        if joined:
            self._listener(events.FlightsJoined(joined))

    def _plan(self, lookups: Sequence[Lookup]) -> tuple[list[_Departure], int]:
        """What has to be asked anew, one task a look-up at most, and how many answers are already in the air."""
        departures: list[_Departure] = []
        planned: set[tuple[bytes, bytes]] = set()
        joined = 0
        for lookup in lookups:
            entry = self._memory.get(lookup.key)
            if entry is not None:
                lookup.recall(entry)  # landed while Redis was asked
            fields: list[bytes] = []
            for field in lookup.missing():
                address = (lookup.key, field)
                if address in planned or self._flights.find(*address) is not None:
                    joined += 1
                else:
                    planned.add(address)
                    fields.append(field)
            if fields:
                task = lookup.subtask(fields)
                departures.append(_Departure(lookup.key, tuple(fields), task, self._tokens(task)))
        return departures, joined

    def _tokens(self, task: GradeTask) -> int:
        try:
            return max(1, self._backend.tokens(task))
        except Exception as error:  # noqa: BLE001  # an estimate that fails must not fail the whole request
            log_failure(error)
            return 1

    # Flying

    def _job(self, departure: _Departure) -> Job[GradeTask, tuple[Answer, ...]]:
        key, fields, task, tokens = departure
        flight = self._flights.start(key, fields)
        job: Job[GradeTask, tuple[Answer, ...]] = Job(
            task,
            tokens,
            done=lambda outcome: self._landed(flight, outcome),
            wanted=lambda: flight.wanted,
            size=len(fields),
        )
        self._jobs[flight] = job
        return job

    async def _ask(self, tasks: Sequence[GradeTask]) -> list[tuple[Answer, ...]]:
        try:
            return checked_replies(tasks, await self._backend.grade(tasks))
        except Exception as error:
            log_failure(error)
            raise

    def _landed(self, flight: Flight[Answer], outcome: tuple[Answer, ...] | Exception) -> None:
        """Remember the grades, then answer everyone who waits, then let them be written behind their backs."""
        del self._jobs[flight]
        if isinstance(outcome, Abandoned):
            self._flights.forget(flight)
            return
        if isinstance(outcome, Exception):
            outcome = (unanswered(outcome),) * len(flight.fields)
        answers = dict(zip(flight.fields, outcome, strict=True))
        grades = {field: answer for field, answer in answers.items() if isinstance(answer, Grade)}
        if grades:
            # Redis may have given another replica's grade to a request of ours meanwhile. That one stands.
            answers.update(self._memory.add(flight.key, grades))
        self._flights.land(flight, answers)
        if grades:
            self._made(flight.key, grades)
        self._tell(outcome)

    def _tell(self, answers: tuple[Answer, ...]) -> None:
        for answer in answers:
            if isinstance(answer, Grade):
                self._listener(events.Graded(answer.label_mass))
            else:
                self._listener(events.Graded(None, answer.reason))

    def _abandoned(self, flight: Flight[Answer]) -> None:
        job = self._jobs.get(flight)
        if job is not None:
            self._batcher.reconsider(job)
