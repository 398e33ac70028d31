"""What tests of the chain share: a small backend that answers from a hash, tasks for it, and a record of events."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from grader.backends.base import Limits
from grader.cache.memory import MemoryCache
from grader.cache.redis import RedisCache
from grader.events import Event
from grader.grader import Grader
from grader.grades import DEADLINE_EXCEEDED, Answer, Grade, Unscorable
from grader.tasks import GradeTask
from models.conversations import Message
from models.policy import Proposition, Template

E = TypeVar("E")

TEMPLATE = Template("{question}\n{response}")
PROPOSITIONS = tuple(Proposition(f"proposition_{i}", f"Is it so, in the sense of number {i}?") for i in range(5))
TOKENS_A_TASK = 10
LIMITS = Limits(max_batch_tokens=160, max_concurrent_batches=2, max_wait_seconds=0.002, max_queued_tokens=100_000)


def task(text: str, propositions: tuple[Proposition, ...] = PROPOSITIONS) -> GradeTask:
    return GradeTask((Message("user", "A question"), Message("assistant", text)), 1, TEMPLATE, propositions)


TASKS = [task(f"text {i}") for i in range(20)]
COUNT = len(TASKS) * len(PROPOSITIONS)


def reasons(answers: Any) -> list[str | None]:
    return [answer.reason if isinstance(answer, Unscorable) else None for answer in answers]


def right_grade(text: str, proposition: Proposition, salt: str = "") -> Grade:
    """The one right answer of a `HashBackend` with this salt."""
    digest = hashlib.sha256(f"{salt}|{text}|{proposition.name}".encode()).digest()
    return Grade(
        int.from_bytes(digest[:4], "big") / 2**30 - 2, digest[4] / 255 if digest[5] % 2 else None, digest[6] < 64
    )


def right_grades(asked: GradeTask, salt: str = "") -> tuple[Answer, ...]:
    return tuple(right_grade(asked.conversation[-1].content, proposition, salt) for proposition in asked.propositions)


class HashBackend:
    """A whole backend whose model is a hash. ``asked`` counts how often each grade was computed to the end.

    ``gate`` holds every call until it is set. ``failure`` is raised instead of an answer; ``answer`` replaces
    the model.
    """

    def __init__(self, *, limits: Limits = LIMITS, delay_seconds: float = 0.0, salt: str = "") -> None:
        self.identity = "hash"
        self.fingerprint = "hash-1"
        self.limits = limits
        self.delay_seconds = delay_seconds
        self.salt = salt
        self.failure: Exception | None = None
        self.answer: Any = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.calls: list[list[GradeTask]] = []
        self.asked: Counter[tuple[str, str]] = Counter()
        self.cancelled = 0
        self.started = self.closed = 0

    @property
    def description(self) -> Mapping[str, Any]:
        return {"model": "a hash"}

    async def start(self) -> None:
        self.started += 1
        if self.failure is not None:
            raise self.failure

    async def aclose(self) -> None:
        self.closed += 1

    async def healthy(self) -> bool:
        return True

    def tokens(self, task: GradeTask) -> int:
        return TOKENS_A_TASK

    async def grade(self, tasks: Sequence[GradeTask]) -> list[tuple[Answer, ...]]:
        self.calls.append(list(tasks))
        try:
            await self.gate.wait()
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        for asked in tasks:
            self.asked.update((asked.conversation[-1].content, p.name) for p in asked.propositions)
        if self.answer is not None:
            result: list[tuple[Answer, ...]] = self.answer(tasks)
            return result
        return [right_grades(asked, self.salt) for asked in tasks]


class Events(list[Event]):
    """A listener that remembers."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self if isinstance(event, kind)]


def new_grader(
    backend: HashBackend,
    listener: Events | None = None,
    *,
    remote: RedisCache | None = None,
    max_bytes: int = 10**8,
    **options: Any,
) -> Grader:
    return Grader(
        backend,
        memory=MemoryCache(max_bytes),
        remote=remote,
        **options,
        listener=Events() if listener is None else listener,
    )


async def until(condition: Any) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


async def cancellation_storm(grader: Grader, rng: random.Random) -> int:
    """300 calls over few shared tasks start and are cancelled, or miss their deadline, at random; returns how many were
    answered, each of them rightly.
    """
    survivors = 0

    async def one_call() -> None:
        nonlocal survivors
        tasks = [
            task(f"text {rng.randrange(30)}", tuple(rng.sample(PROPOSITIONS, rng.randint(1, 5))))
            for _ in range(rng.randint(1, 6))
        ]
        deadline = time.monotonic() + rng.uniform(0, 0.01) if rng.random() < 0.2 else None
        for asked, graded in zip(tasks, await grader.grade(tasks, deadline), strict=True):
            for proposition, answer in zip(asked.propositions, graded.answers, strict=True):
                if isinstance(answer, Grade):
                    assert answer == right_grade(asked.conversation[-1].content, proposition)
                else:
                    assert deadline is not None
                    assert answer.reason == DEADLINE_EXCEEDED
        survivors += 1

    calls: list[asyncio.Task[None]] = []
    for _ in range(300):
        calls.append(asyncio.create_task(one_call()))
        if rng.random() < 0.6:
            rng.choice(calls[-20:]).cancel()
        if rng.random() < 0.3:
            await asyncio.sleep(rng.choice([0, 0, 0.001, 0.003]))
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
    return survivors
