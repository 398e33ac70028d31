"""The chain as a whole: memory, flights, batcher and a backend; Redis has `test_grader_redis`."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest

from grader.backends.base import Limits
from grader.errors import BackendUnavailable, Overloaded
from grader.events import BatchGraded, CacheLookup, FlightsJoined, Graded, QueueChanged, Shed
from grader.grades import (
    BACKEND_ERROR,
    BACKEND_UNAVAILABLE,
    DEADLINE_EXCEEDED,
    INVALID_TEXT,
    MALFORMED_ANSWER,
    TOO_LONG,
    Grade,
    Unscorable,
)
from tests.grader.chain import (
    LIMITS,
    PROPOSITIONS,
    TOKENS_A_TASK,
    Events,
    HashBackend,
    new_grader,
    right_grade,
    right_grades,
    task,
    until,
)

TASKS = [task(f"text {i}") for i in range(20)]
COUNT = len(TASKS) * len(PROPOSITIONS)


def reasons(answers: Any) -> list[str | None]:
    return [answer.reason if isinstance(answer, Unscorable) else None for answer in answers]


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


# Failures


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(BackendUnavailable("down"), BACKEND_UNAVAILABLE), (ZeroDivisionError("secret text"), BACKEND_ERROR)],
)
async def test_a_failing_backend_makes_everything_unscorable_and_is_asked_again_later(
    failure: Exception, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    backend, events = HashBackend(), Events()
    grader = new_grader(backend, events)
    backend.failure = failure
    both = await asyncio.gather(grader.grade(TASKS), grader.grade(TASKS))
    answers = [answer for graded in both for one in graded for answer in one.answers]
    assert set(reasons(answers)) == {reason}
    assert all(answer.transient for answer in answers if isinstance(answer, Unscorable))
    assert all(event.failed for event in events.of(BatchGraded))
    assert {event.unscorable_reason for event in events.of(Graded)} == {reason}
    assert caplog.records
    assert "secret text" not in caplog.text
    backend.failure = None
    assert [one.answers for one in await grader.grade(TASKS)] == [right_grades(asked) for asked in TASKS]


@pytest.mark.parametrize(
    "reply",
    [
        lambda tasks: [],
        lambda tasks: [right_grades(one) for one in tasks][1:],
        lambda tasks: [right_grades(one) for one in tasks] * 2,
        lambda tasks: None,
        lambda tasks: {"a": 1},
        lambda tasks: 7,
    ],
    ids=["none", "one too few", "too many", "None", "a mapping", "a number"],
)
async def test_replies_that_do_not_match_the_tasks_are_no_grades(reply: Any) -> None:
    backend = HashBackend()
    backend.answer = reply
    graded = await new_grader(backend).grade(TASKS[:3])
    assert {reason for one in graded for reason in reasons(one.answers)} == {MALFORMED_ANSWER}


@pytest.mark.parametrize(
    "bad",
    [
        Grade(float("nan")),
        Grade(float("inf")),
        Grade(True),
        Grade("1.0"),  # type: ignore[arg-type]
        Grade(None),  # type: ignore[arg-type]
        Grade(1.0, float("nan")),
        Grade(1.0, -0.1),
        Grade(1.0, 1.5),
        Grade(1.0, "x"),  # type: ignore[arg-type]
        0.5,
        None,
        (1.0, None, False),
    ],
)
async def test_a_malformed_answer_is_no_grade_and_spares_its_neighbours(bad: Any) -> None:
    backend, asked = HashBackend(), task("text")
    right = right_grades(asked)
    backend.answer = lambda tasks: [(*right[:2], bad, *right[3:])]
    grader = new_grader(backend)
    (graded,) = await grader.grade([asked])
    assert reasons(graded.answers) == [None, None, MALFORMED_ANSWER, None, None]
    backend.answer = None
    (again,) = await grader.grade([asked])
    assert (again.answers, again.cached) == (right, 4)


async def test_the_wrong_number_of_answers_spoils_one_conversation_only() -> None:
    backend = HashBackend()
    backend.answer = lambda tasks: [right_grades(tasks[0])[:-1], right_grades(tasks[1])]
    first, second = await new_grader(backend).grade(TASKS[:2])
    assert set(reasons(first.answers)) == {MALFORMED_ANSWER}
    assert second.answers == right_grades(TASKS[1])


async def test_an_unscorable_answer_is_passed_on_and_never_cached() -> None:
    backend, unscorable = HashBackend(), Unscorable(TOO_LONG, "9000 tokens")
    backend.answer = lambda tasks: [(unscorable,) * len(one.propositions) for one in tasks]
    grader = new_grader(backend)
    for _ in range(2):
        (graded,) = await grader.grade([task("text")])
        assert graded == ((unscorable,) * len(PROPOSITIONS), 0)
    assert len(backend.calls) == 2


async def test_text_without_utf8_is_unscorable_and_spares_its_neighbours() -> None:
    bad, good = await new_grader(HashBackend()).grade([task("\ud800"), task("fine")])
    assert set(reasons(bad.answers)) == {INVALID_TEXT}
    assert good.answers == right_grades(task("fine"))


async def test_a_token_estimate_that_fails_does_not_fail_the_request() -> None:
    class Estimator(HashBackend):
        def tokens(self, task: Any) -> int:
            raise KeyError(task)

    (graded,) = await new_grader(Estimator()).grade([task("text")])
    assert graded.answers == right_grades(task("text"))


async def test_another_fingerprint_of_the_backend_has_grades_of_its_own() -> None:
    backend = HashBackend()
    grader = new_grader(backend)
    await grader.grade(TASKS)
    backend.fingerprint, backend.salt = "hash-2", "other"
    graded = await grader.grade(TASKS)
    assert [one.answers for one in graded] == [right_grades(asked, "other") for asked in TASKS]


# Load, deadlines, cancellation


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
    await stream.aclose()  # type: ignore[attr-defined]
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
    assert survivors > 50
    assert max(backend.asked.values()) == 1
    await until(lambda: len(asyncio.all_tasks()) == 1)
    stats = grader.stats
    assert (stats.flights, stats.queued_tokens, stats.running_tokens) == (0, 0, 0)
    await grader.aclose()


# Life


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
    assert {event.proposition for event in fresh} == {proposition.name for proposition in PROPOSITIONS}
    assert all(event.p_yes is not None and 0 < event.p_yes < 1 for event in fresh)
    assert sum(event.propositions for event in events.of(BatchGraded)) == COUNT
    assert sum(event.tokens for event in events.of(BatchGraded)) == len(TASKS) * TOKENS_A_TASK
    assert max(event.queued_tokens for event in events.of(QueueChanged)) <= LIMITS.max_queued_tokens
