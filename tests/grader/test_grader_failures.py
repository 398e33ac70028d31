"""The chain before a backend that fails or answers nonsense."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from grader.errors import BackendUnavailable
from grader.events import BatchGraded, Graded
from grader.grades import (
    BACKEND_ERROR,
    BACKEND_UNAVAILABLE,
    INVALID_TEXT,
    MALFORMED_ANSWER,
    TOO_LONG,
    Grade,
    Unscorable,
)
from tests.grader.chain import (
    PROPOSITIONS,
    TASKS,
    Events,
    HashBackend,
    new_grader,
    reasons,
    right_grades,
    task,
)


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


async def test_numbers_of_other_types_become_plain_floats() -> None:
    """So that memory and Redis hold the same value, whatever library the backend counts with."""
    backend = HashBackend()
    backend.answer = lambda tasks: [(Grade(np.float32(0.5), np.float64(0.25)), Grade(1), Grade(2.0, 1))]  # type: ignore[arg-type]
    (graded,) = await new_grader(backend).grade([task("text", PROPOSITIONS[:3])])
    assert graded.answers == (Grade(0.5, 0.25), Grade(1.0), Grade(2.0, 1.0))
    assert {type(answer.logit) for answer in graded.answers if isinstance(answer, Grade)} == {float}


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
