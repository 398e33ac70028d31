"""The chain as a whole: memory, flights, batcher and a backend; Redis has `test_grader_redis`, failures and load
have files of their own."""

from __future__ import annotations

import asyncio

import pytest

from grader.backends.base import Limits
from grader.errors import BackendUnavailable
from grader.events import BatchGraded, CacheLookup, FlightsJoined, Graded, QueueChanged
from grader.grades import (
    BACKEND_UNAVAILABLE,
)
from tests.grader.chain import (
    COUNT,
    LIMITS,
    PROPOSITIONS,
    TASKS,
    TOKENS_A_TASK,
    Events,
    HashBackend,
    new_grader,
    reasons,
    right_grades,
    task,
    until,
)


async def test_answers_come_back_in_order_and_are_the_backends() -> None:
    grader = new_grader(HashBackend())
    graded = await grader.grade(TASKS)
    assert [one.answers for one in graded] == [right_grades(asked) for asked in TASKS]
    assert {one.cached for one in graded} == {0}


async def test_a_second_identical_batch_grades_nothing() -> None:
    backend, events = HashBackend(), Events()
    grader = new_grader(backend, events)
    first = await grader.grade(TASKS)
    calls = len(backend.calls)
    second = await grader.grade(TASKS)
    assert len(backend.calls) == calls
    assert [one.answers for one in second] == [one.answers for one in first]
    assert {one.cached for one in second} == {len(PROPOSITIONS)}
    assert [(event.hits, event.misses) for event in events.of(CacheLookup)] == [(0, COUNT), (COUNT, 0)]


async def test_a_warm_batch_awaits_nothing() -> None:
    """It is answered in the very step in which it is asked, whatever else the loop has to do."""
    grader = new_grader(HashBackend())
    await grader.grade(TASKS)
    call = grader.grade(TASKS)
    with pytest.raises(StopIteration):
        call.send(None)


async def test_only_the_missing_propositions_are_asked_in_one_task() -> None:
    backend = HashBackend()
    grader = new_grader(backend)
    await grader.grade([task("text", PROPOSITIONS[1:3])])
    (graded,) = await grader.grade([task("text")])
    assert backend.calls[1] == [task("text", (PROPOSITIONS[0], *PROPOSITIONS[3:]))]
    assert graded.answers == right_grades(task("text"))
    assert graded.cached == 2


async def test_equal_tasks_of_one_batch_are_asked_once() -> None:
    backend, events = HashBackend(), Events()
    graded = await new_grader(backend, events).grade([task("same")] * 8)
    assert [one.answers for one in graded] == [right_grades(task("same"))] * 8
    assert set(backend.asked.values()) == {1}
    assert events.of(FlightsJoined) == [FlightsJoined(7 * len(PROPOSITIONS))]


async def test_overlapping_tasks_of_one_batch_share_what_they_have_in_common() -> None:
    backend = HashBackend()
    tasks = [task("same", PROPOSITIONS[:3]), task("same", PROPOSITIONS[2:]), task("same", PROPOSITIONS[1:4])]
    graded = await new_grader(backend).grade(tasks)
    assert [one.answers for one in graded] == [right_grades(asked) for asked in tasks]
    assert set(backend.asked.values()) == {1}


async def test_identical_requests_in_flight_are_graded_once() -> None:
    backend, events = HashBackend(delay_seconds=0.02), Events()
    grader = new_grader(backend, events)
    several = await asyncio.gather(*(grader.grade(TASKS) for _ in range(10)))
    assert all([one.answers for one in graded] == [right_grades(asked) for asked in TASKS] for graded in several)
    assert set(backend.asked.values()) == {1}
    assert sum(event.grades for event in events.of(FlightsJoined)) == 9 * COUNT


async def test_an_empty_batch_and_a_task_without_propositions_ask_nothing() -> None:
    backend = HashBackend()
    grader = new_grader(backend)
    assert await grader.grade([]) == []
    (graded,) = await grader.grade([task("text", ())])
    assert graded == ((), 0)
    assert backend.calls == []


async def test_a_proposition_named_twice_is_answered_twice_and_asked_once() -> None:
    backend = HashBackend()
    doubled = task("text", PROPOSITIONS[:2] + PROPOSITIONS[:1])
    (graded,) = await new_grader(backend).grade([doubled])
    assert graded.answers == right_grades(doubled)
    assert set(backend.asked.values()) == {1}


async def test_results_stream_as_they_come_the_cached_ones_first() -> None:
    backend = HashBackend(limits=Limits(TOKENS_A_TASK, 1, 0.0, 10_000))
    grader = new_grader(backend)
    await grader.grade(TASKS[5:10])
    parts = [[index for index, _ in part] async for part in grader.stream(TASKS[:12])]
    assert parts[0] == [5, 6, 7, 8, 9]
    assert sorted(index for part in parts for index in part) == list(range(12))
    assert len(parts) > 3


async def test_requests_are_batched_across_each_other() -> None:
    backend = HashBackend(limits=Limits(1000, 1, 0.05, 10_000), delay_seconds=0.01)
    grader = new_grader(backend)
    await asyncio.gather(*(grader.grade([asked]) for asked in TASKS))
    assert len(backend.calls) == 1


async def test_memory_lets_the_oldest_go() -> None:
    backend = HashBackend()
    grader = new_grader(backend, max_bytes=10_000)
    await grader.grade(TASKS)
    assert 0 < grader.stats.memory_bytes <= 10_000
    newest, oldest = await grader.grade([TASKS[-1], TASKS[0]])
    assert (newest.cached, oldest.cached) == (len(PROPOSITIONS), 0)


async def test_without_room_for_anything_every_call_is_graded_afresh() -> None:
    backend = HashBackend()
    grader = new_grader(backend, max_bytes=0)
    for _ in range(2):
        assert [one.answers for one in await grader.grade(TASKS)] == [right_grades(asked) for asked in TASKS]
    assert set(backend.asked.values()) == {2}


async def test_it_starts_and_closes_its_backend() -> None:
    backend = HashBackend()
    grader = new_grader(backend)
    await grader.start()
    await grader.aclose()
    await grader.aclose()
    assert backend.started == 1
    assert backend.closed >= 1


async def test_a_backend_that_cannot_start_is_closed_and_says_why() -> None:
    backend = HashBackend()
    backend.failure = BackendUnavailable("no model")
    with pytest.raises(BackendUnavailable, match="no model"):
        await new_grader(backend).start()
    assert backend.closed == 1


async def test_closing_answers_those_who_still_wait() -> None:
    backend = HashBackend(limits=Limits(TOKENS_A_TASK, 1, 0.0, 10_000))
    grader = new_grader(backend)
    backend.gate.clear()
    call = asyncio.create_task(grader.grade(TASKS))
    await until(lambda: backend.calls)
    await grader.aclose()
    assert {reason for one in await call for reason in reasons(one.answers)} == {BACKEND_UNAVAILABLE}
    (late,) = await grader.grade([task("another")])
    assert set(reasons(late.answers)) == {BACKEND_UNAVAILABLE}
    assert grader.stats.flights == 0


async def test_events_tell_of_every_fresh_answer_and_of_the_queue() -> None:
    events = Events()
    grader = new_grader(HashBackend(), events)
    await grader.grade(TASKS)
    await until(lambda: events.of(QueueChanged)[-1] == QueueChanged(0, 0))
    fresh = events.of(Graded)
    assert len(fresh) == COUNT
    assert all(event.unscorable_reason is None for event in fresh)
    assert sum(event.propositions for event in events.of(BatchGraded)) == COUNT
    assert sum(event.tokens for event in events.of(BatchGraded)) == len(TASKS) * TOKENS_A_TASK
    assert max(event.queued_tokens for event in events.of(QueueChanged)) <= LIMITS.max_queued_tokens
