"""The chain under overload, deadlines and cancellation."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from grader.backends.base import Limits
from grader.errors import Overloaded
from grader.events import Shed
from grader.grades import (
    DEADLINE_EXCEEDED,
    Unscorable,
)
from tests.grader.chain import (
    PROPOSITIONS,
    TASKS,
    TOKENS_A_TASK,
    Events,
    HashBackend,
    cancellation_storm,
    new_grader,
    reasons,
    right_grades,
    until,
)


async def test_overload_refuses_the_whole_call_and_never_a_warm_one() -> None:
    backend, events = HashBackend(limits=Limits(TOKENS_A_TASK, 1, 0.0, 5 * TOKENS_A_TASK)), Events()
    grader = new_grader(backend, events)
    await grader.grade(TASKS[:4])
    backend.gate.clear()
    busy = [asyncio.create_task(grader.grade([asked])) for asked in TASKS[4:9]]
    await until(lambda: grader.stats.queued_tokens == 4 * TOKENS_A_TASK)
    before = grader.stats
    with pytest.raises(Overloaded) as caught:
        await grader.grade(TASKS[:4] + TASKS[10:12])
    assert caught.value.retry_after_seconds > 0
    assert grader.stats == before
    assert events.of(Shed) == [Shed(2 * TOKENS_A_TASK)]
    assert {one.cached for one in await grader.grade(TASKS[:4])} == {len(PROPOSITIONS)}
    joining = asyncio.create_task(grader.grade(TASKS[4:9]))  # joins what is in the air: nothing new is queued
    backend.gate.set()
    await asyncio.gather(*busy, joining)
    assert set(backend.asked.values()) == {1}


async def test_a_request_larger_than_the_queue_is_graded_when_nothing_waits() -> None:
    backend = HashBackend(limits=Limits(TOKENS_A_TASK, 1, 0.0, 1))
    assert len(await new_grader(backend).grade(TASKS)) == len(TASKS)


async def test_past_its_deadline_a_call_gets_what_is_there_and_another_goes_on() -> None:
    backend = HashBackend()
    grader = new_grader(backend)
    await grader.grade(TASKS[:3])
    backend.gate.clear()
    patient = asyncio.create_task(grader.grade(TASKS[:6]))
    hurried = await grader.grade(TASKS[:6], time.monotonic() + 0.02)
    assert [one.answers for one in hurried[:3]] == [right_grades(asked) for asked in TASKS[:3]]
    late = [answer for one in hurried[3:] for answer in one.answers]
    assert set(reasons(late)) == {DEADLINE_EXCEEDED}
    assert all(isinstance(answer, Unscorable) and answer.transient for answer in late)
    backend.gate.set()
    assert [one.answers for one in await patient] == [right_grades(asked) for asked in TASKS[:6]]
    assert backend.cancelled == 0


async def test_a_deadline_in_the_past_still_gives_what_is_cached_and_asks_nothing() -> None:
    backend = HashBackend()
    grader = new_grader(backend)
    await grader.grade(TASKS[:1])
    warm, cold = await grader.grade(TASKS[:2], time.monotonic() - 1)
    assert warm.cached == len(PROPOSITIONS)
    assert set(reasons(cold.answers)) == {DEADLINE_EXCEEDED}
    assert len(backend.calls) == 1


async def test_work_that_only_a_late_call_wanted_is_freed() -> None:
    backend = HashBackend(limits=Limits(TOKENS_A_TASK, 1, 0.0, 10_000))
    grader = new_grader(backend)
    backend.gate.clear()
    await grader.grade(TASKS[:5], time.monotonic() + 0.02)
    await until(lambda: grader.stats.running_tokens == 0)
    assert (backend.cancelled, len(backend.calls)) == (1, 1)
    assert grader.stats.queued_tokens == grader.stats.flights == 0


async def test_a_cancelled_call_frees_queued_work_and_cancels_calls_that_nobody_else_wants() -> None:
    backend = HashBackend(limits=Limits(TOKENS_A_TASK, 1, 0.0, 10_000))
    grader = new_grader(backend)
    backend.gate.clear()
    call = asyncio.create_task(grader.grade(TASKS))
    await until(lambda: backend.calls)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: grader.stats.running_tokens == 0)
    assert (backend.cancelled, len(backend.calls)) == (1, 1)
    assert grader.stats.flights == 0
    backend.gate.set()
    assert [one.answers for one in await grader.grade(TASKS)] == [right_grades(asked) for asked in TASKS]


async def test_a_consumer_that_stops_reading_the_stream_frees_its_work() -> None:
    backend = HashBackend(limits=Limits(TOKENS_A_TASK, 1, 0.0, 10_000))
    grader = new_grader(backend)
    await grader.grade(TASKS[:1])
    backend.gate.clear()
    stream = grader.stream(TASKS)
    assert [index for index, _ in await anext(stream)] == [0]
    await stream.aclose()
    await until(lambda: grader.stats.running_tokens == 0)
    assert grader.stats.flights == 0


async def test_abandoned_work_inside_a_running_call_can_be_joined_again() -> None:
    backend = HashBackend(limits=Limits(1000, 1, 0.01, 10_000))
    grader = new_grader(backend)
    backend.gate.clear()
    staying = asyncio.create_task(grader.grade(TASKS[:1]))
    leaving = asyncio.create_task(grader.grade(TASKS[1:2]))
    await until(lambda: [len(call) for call in backend.calls] == [2])
    leaving.cancel()
    await asyncio.sleep(0.005)
    coming = asyncio.create_task(grader.grade(TASKS[1:2]))
    await asyncio.sleep(0.005)
    backend.gate.set()
    assert (await coming)[0].answers == right_grades(TASKS[1])
    assert (await staying)[0].answers == right_grades(TASKS[0])
    assert len(backend.calls) == 1


@pytest.mark.parametrize("seed", range(6))
async def test_in_a_storm_of_cancellations_every_survivor_gets_the_right_grades(seed: int) -> None:
    """Calls over few shared tasks start and are cancelled, or miss their deadline, at random. Nothing is computed
    twice, nothing is mixed up, and nothing is left over.
    """
    rng = random.Random(seed)
    backend = HashBackend(
        limits=Limits(rng.choice([1, 35, 1000]), rng.choice([1, 3]), rng.choice([0.0, 0.002]), 10**6),
        delay_seconds=0.002,
    )
    grader = new_grader(backend)
    survivors = await cancellation_storm(grader, rng)
    assert survivors > 50
    assert max(backend.asked.values()) == 1
    await until(lambda: len(asyncio.all_tasks()) == 1)
    stats = grader.stats
    assert (stats.flights, stats.queued_tokens, stats.running_tokens) == (0, 0, 0)
    await grader.aclose()
