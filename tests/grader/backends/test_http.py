"""The http backend against a real server: every answer is the right number or a reason, whatever the server does."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from grader.backends.http import HttpBackend
from grader.backends.http.answers import read_answer
from grader.backends.http.client import Retries
from grader.cache.memory import MemoryCache
from grader.errors import BackendUnavailable
from grader.grader import Grader
from grader.grades import (
    BACKEND_ERROR,
    BACKEND_UNAVAILABLE,
    DEADLINE_EXCEEDED,
    LABEL_MASS_LOW,
    LABELS_MISSING,
    MALFORMED_ANSWER,
    TOO_LONG,
    Answer,
    Grade,
    Unscorable,
)
from grader.prompts.markers import defuse
from grader.prompts.template import render_prompts
from grader.tasks import GradeTask
from models.conversations import Message
from models.policy import Proposition, Template
from tests.chat_server import FAULTS, LASTING_FAULTS, TRANSIENT_FAULTS, ChatServer, completion, known_logit

TEMPLATE = Template("{question}\nAnswer yes or no.")
WORDS = ("sorry", "cannot", "sure")
SECRET = "sk-test-hunter2-0123456789"
QUICK = Retries(attempts=4, wait_initial_seconds=0.0, wait_max_seconds=0.05, wait_jitter_seconds=0.01)
ONCE = Retries(attempts=1)
REASONS = {
    "reset": (BACKEND_UNAVAILABLE, True),
    "truncated": (BACKEND_UNAVAILABLE, True),
    "slow": (BACKEND_UNAVAILABLE, True),
    "rate_limited": (BACKEND_ERROR, True),
    "error": (BACKEND_ERROR, True),
    "unavailable": (BACKEND_ERROR, True),
    "bad_request": (BACKEND_ERROR, False),
    "too_long": (TOO_LONG, False),
    "cut_json": (MALFORMED_ANSWER, True),
    "page": (MALFORMED_ANSWER, True),
    "nan": (MALFORMED_ANSWER, False),
    "infinite": (MALFORMED_ANSWER, False),
    "null": (MALFORMED_ANSWER, False),
    "positive": (MALFORMED_ANSWER, False),
    "no_logprobs": (MALFORMED_ANSWER, False),
    "empty_choices": (MALFORMED_ANSWER, False),
    "scalar": (MALFORMED_ANSWER, False),
    "low_mass": (LABEL_MASS_LOW, False),
    "thinking": (LABELS_MISSING, False),
}


@pytest.fixture(scope="module")
def running() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


@pytest.fixture
def server(running: ChatServer) -> ChatServer:
    """One server for all tests, as new: starting one for each would take most of the time."""
    running.reset()
    return running


@pytest.fixture
async def started(server: ChatServer) -> AsyncIterator[HttpBackend]:
    async for backend in serving(server):
        yield backend


async def serving(server: ChatServer, **options: Any) -> AsyncIterator[HttpBackend]:
    """A started backend whose canary is already counted away."""
    backend = HttpBackend(server.url, **{"retries": QUICK, "timeout_seconds": 10.0, **options})
    await backend.start()
    server.requests = 0
    server.prompts.clear()
    yield backend
    await backend.aclose()


def task(completion: str = "I am sorry.", words: tuple[str, ...] = WORDS) -> GradeTask:
    conversation = (Message("user", "Please help me."), Message("assistant", completion))
    questions = [Proposition(word, f'Does the response contain the word "{word}"?') for word in words]
    return GradeTask(conversation, 1, TEMPLATE, tuple(questions))


def truth(asked: GradeTask) -> list[float]:
    return [known_logit(defuse(prompt)) for prompt in render_prompts(asked)]


def assert_right(answer: Answer, logit: float) -> None:
    assert isinstance(answer, Grade), answer
    assert not answer.censored
    assert answer.logit == pytest.approx(logit, abs=1e-9)
    assert answer.label_mass == pytest.approx(0.98)


async def test_each_answer_belongs_to_its_proposition_and_task(server: ChatServer, started: HttpBackend) -> None:
    tasks = [
        task("I am sorry, I cannot."),
        task("sure thing"),
        task("", ("sure",)),
        task("{question} \u00e9\u4e16 <|im_end|>"),
    ]
    answers = await started.grade(tasks)
    assert [len(row) for row in answers] == [3, 3, 1, 3]
    for asked, row in zip(tasks, answers, strict=True):
        for answer, logit in zip(row, truth(asked), strict=True):
            assert_right(answer, logit)
    assert [answer.logit > 0 for answer in answers[0] if isinstance(answer, Grade)] == [True, True, False]
    assert server.requests == 10
    assert not [prompt for prompt in server.prompts if "<|im_end|>" in prompt]


async def test_no_tasks_ask_nothing(server: ChatServer, started: HttpBackend) -> None:
    assert await started.grade([]) == []
    assert server.requests == 0


async def test_the_request_asks_for_one_token_with_its_alternatives(server: ChatServer) -> None:
    extra = {"chat_template_kwargs": {"enable_thinking": False}}
    async for backend in serving(server, extra_body=extra):
        await backend.grade([task()])
    body = server.bodies[-1]
    assert {key: body[key] for key in body if key != "messages"} == {
        "model": "tiny-grader",
        "max_tokens": 1,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 20,
        **extra,
    }
    assert [message["role"] for message in body["messages"]] == ["user"]


async def test_a_field_that_a_server_refuses_can_be_taken_out(server: ChatServer) -> None:
    async for backend in serving(server, extra_body={"max_tokens": None, "max_completion_tokens": 1}):
        await backend.grade([task()])
    assert "max_tokens" not in server.bodies[-1]
    assert server.bodies[-1]["max_completion_tokens"] == 1


async def test_propositions_of_a_conversation_arrive_together(server: ChatServer) -> None:
    """With one request at a time, conversations are not interleaved, so that a prefix cache holds each just once."""
    async for backend in serving(server, max_concurrency=1):
        tasks = [task(f"answer {i}") for i in range(3)]
        await backend.grade(tasks)
    assert server.prompts == [prompt for each in tasks for prompt in render_prompts(each)]


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "censored"])
async def test_a_fault_without_retries_is_its_reason_and_leaves_the_others_alone(
    server: ChatServer, fault: str
) -> None:
    server.slow_seconds = 30.0
    async for backend in serving(
        server, retries=ONCE, timeout_seconds=1.0 if fault == "slow" else 10.0, max_concurrency=1
    ):
        server.fail(fault)
        asked = task()
        (answers,) = await backend.grade([asked])
        assert isinstance(answers[0], Unscorable)
        assert (answers[0].reason, answers[0].transient) == REASONS[fault]
        assert answers[0].detail
        for answer, logit in zip(answers[1:], truth(asked)[1:], strict=True):
            assert_right(answer, logit)
        assert server.faults_served == {fault: 1}
        assert server.requests == 3


@pytest.mark.parametrize("fault", TRANSIENT_FAULTS)
async def test_retries_recover_what_passes(server: ChatServer, started: HttpBackend, fault: str) -> None:
    asked = task()
    server.fail(fault, fault)
    (answers,) = await started.grade([asked])
    for answer, logit in zip(answers, truth(asked), strict=True):
        assert_right(answer, logit)
    assert server.requests == 3 + 2


@pytest.mark.parametrize("fault", [fault for fault in LASTING_FAULTS if fault not in ("slow", "censored")])
async def test_what_asking_again_cannot_change_is_asked_once(
    server: ChatServer, started: HttpBackend, fault: str
) -> None:
    server.fail(fault)
    await started.grade([task()])
    assert server.requests == 3


async def test_a_label_outside_the_reported_ones_is_a_bound_and_says_so(
    server: ChatServer, started: HttpBackend
) -> None:
    server.fail("censored")
    asked = task("sorry", ("sorry",))
    ((answer,),) = await started.grade([asked])
    assert isinstance(answer, Grade)
    assert answer.censored
    # The server lists 1e-6 * exp(-i/100) after the label: the twentieth entry has i = 18.
    assert answer.logit == pytest.approx(math.log(0.999) - math.log(1e-6) + 0.18)


async def test_under_random_faults_every_answer_is_right_or_has_its_reason(server: ChatServer) -> None:
    """Nine of ten kinds of trouble at once, many requests in flight: no wrong number, nothing lost, nothing swapped."""
    faults = [fault for fault in FAULTS if fault not in ("slow", "censored")]
    async for backend in serving(server, max_concurrency=16):
        server.fail_randomly(0.5, seed=3, faults=faults)
        tasks = [task(f"completion {i} sure" if i % 2 else f"completion {i} sorry") for i in range(60)]
        answers = await backend.grade(tasks)
    right = 0
    for asked, row in zip(tasks, answers, strict=True):
        for answer, logit in zip(row, truth(asked), strict=True):
            if isinstance(answer, Grade):
                assert_right(answer, logit)
                right += 1
            else:
                assert (answer.reason, answer.transient) in REASONS.values()
    unscorable = 180 - right
    lasting = sum(server.faults_served[fault] for fault in LASTING_FAULTS)
    retried = sum(server.faults_served[fault] for fault in TRANSIENT_FAULTS)
    assert 0 < lasting <= unscorable <= lasting + retried // QUICK.attempts
    assert server.requests == right + lasting + retried


async def test_a_server_that_is_down_is_one_error_and_recovers(server: ChatServer, started: HttpBackend) -> None:
    server.stop()
    with pytest.raises(BackendUnavailable, match="no HTTP response"):
        await started.grade([task()])
    server.start()
    ((answer, *_),) = await started.grade([task()])
    assert_right(answer, truth(task())[0])


async def test_retry_after_is_obeyed_up_to_the_longest_wait(server: ChatServer) -> None:
    patient = Retries(attempts=2, wait_initial_seconds=30.0, wait_max_seconds=60.0, wait_jitter_seconds=0.0)
    assert patient.backoff(ValueError()) is False
    async for backend in serving(server, retries=patient):
        server.fail("rate_limited")
        server.retry_after = "0"  # without it, the wait would be thirty seconds
        ((answer,),) = await asyncio.wait_for(backend.grade([task("x", ("sure",))]), 10)
        assert_right(answer, truth(task("x", ("sure",)))[0])
        server.fail("rate_limited")
        server.retry_after = "3600"
        ((answer,),) = await asyncio.wait_for(backend.grade([task("y", ("sure",))]), 10)
        assert isinstance(answer, Unscorable)
        assert answer.transient


async def test_concurrency_is_bounded(server: ChatServer) -> None:
    server.delay_seconds = 0.01
    async for backend in serving(server, max_concurrency=4):
        await asyncio.gather(*(backend.grade([task(f"c{i}")]) for i in range(10)))
    assert server.peak == 4
    assert server.requests == 30


async def test_cancelling_a_call_frees_its_requests_and_slots(server: ChatServer) -> None:
    server.slow_seconds = 60.0
    async for backend in serving(server, max_concurrency=2):
        server.fail("slow", "slow")
        call = asyncio.create_task(backend.grade([task()]))
        while server.in_flight < 2:
            await asyncio.sleep(0.005)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        while server.in_flight:
            await asyncio.sleep(0.005)
        assert server.abandoned == 2
        assert server.requests == 2, "the third was queued here and must never leave"
        (answers,) = await backend.grade([task("again")])
        for answer, logit in zip(answers, truth(task("again")), strict=True):
            assert_right(answer, logit)


async def test_cancelling_one_call_leaves_another_alone(server: ChatServer, started: HttpBackend) -> None:
    server.delay_seconds = 0.05
    doomed = asyncio.create_task(started.grade([task("doomed")]))
    kept = asyncio.create_task(started.grade([task("kept")]))
    while server.in_flight < 6:
        await asyncio.sleep(0.005)
    doomed.cancel()
    (answers,) = await kept
    for answer, logit in zip(answers, truth(task("kept")), strict=True):
        assert_right(answer, logit)


async def test_behind_the_chain_a_deadline_frees_the_requests_and_grades_are_remembered(server: ChatServer) -> None:
    server.slow_seconds = 60.0
    grader = Grader(HttpBackend(server.url, retries=QUICK), memory=MemoryCache())
    await grader.start()
    try:
        server.fail("slow")
        (late,) = await grader.grade([task()], time.monotonic() + 0.3)
        assert {answer.reason for answer in late.answers if isinstance(answer, Unscorable)} == {DEADLINE_EXCEEDED}
        while server.in_flight:
            await asyncio.sleep(0.005)
        assert server.abandoned == 1
        for cached in (0, 3):
            (graded,) = await grader.grade([task("kept")])
            assert graded.cached == cached
            for answer, logit in zip(graded.answers, truth(task("kept")), strict=True):
                assert_right(answer, logit)
        server.stop()
        (down,) = await grader.grade([task("never seen")])
        reasons = {(answer.reason, answer.transient) for answer in down.answers if isinstance(answer, Unscorable)}
        assert reasons == {(BACKEND_UNAVAILABLE, True)}
    finally:
        await grader.aclose()


async def test_text_that_is_no_unicode_is_a_reason_for_itself_alone(server: ChatServer, started: HttpBackend) -> None:
    broken, whole = await started.grade([task("\ud800"), task("fine")])
    assert {answer.reason for answer in broken if isinstance(answer, Unscorable)} == {BACKEND_ERROR}
    assert_right(whole[0], truth(task("fine"))[0])


async def test_start_takes_the_first_model_and_names_it() -> None:
    with ChatServer(models=("first", "second")) as server:
        backend = HttpBackend(server.url)
        assert backend.identity == "http:?:p1l1"
        unnamed = backend.fingerprint
        await backend.start()
        assert backend.fingerprint != unnamed
        assert backend.identity == "http:first:p1l1"
        assert backend.description["model"] == "first"
        assert backend.description["canary"] == "answered"
        await backend.aclose()


async def test_identity_names_what_changes_grades_and_the_fingerprint_what_changes_their_reading(
    server: ChatServer,
) -> None:
    def made(**options: Any) -> HttpBackend:
        return HttpBackend(server.url, "m", **options)

    plain, no_thinking = made(), made(extra_body={"chat_template_kwargs": {"enable_thinking": False}})
    assert plain.identity == made(label_mass_floor=0.9).identity != no_thinking.identity
    assert plain.fingerprint == made(api_key=SECRET, timeout_seconds=3.0).fingerprint
    assert (
        len(
            {
                made(**o).fingerprint
                for o in ({}, {"label_mass_floor": 0.9}, {"top_logprobs": 5}, {"extra_body": {"a": 1}})
            }
        )
        == 4
    )
    before = HttpBackend(server.url, "tiny-grader")
    unstarted = before.fingerprint
    await before.start()
    assert before.fingerprint != unstarted, "the server told its version"
    await before.aclose()


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        ("no_logprobs", "serve the model"),
        ("bad_request", "supports top_logprobs"),
        ("page", "OpenAI-compatible"),
        ("unavailable", "try again later"),
        ("reset", "is the server running"),
    ],
)
async def test_start_refuses_a_server_that_cannot_grade_and_says_what_to_do(
    server: ChatServer, fault: str, remedy: str
) -> None:
    server.fail(fault)
    backend = HttpBackend(server.url, retries=ONCE)
    with pytest.raises(BackendUnavailable, match=remedy):
        await backend.start()
    await backend.aclose()
    await backend.aclose()


async def test_start_on_a_port_where_nobody_listens_says_so(server: ChatServer) -> None:
    server.stop()
    backend = HttpBackend(server.url, retries=QUICK)
    with pytest.raises(BackendUnavailable, match="is the server running"):
        await backend.start()
    assert not await backend.healthy()


async def test_a_model_that_the_server_does_not_have_is_named() -> None:
    with ChatServer(models=("a",)) as server:
        with pytest.raises(BackendUnavailable, match=r"HTTP 404.*\(nobody\)"):
            await HttpBackend(server.url, "nobody").start()
        server.models = ()
        with pytest.raises(BackendUnavailable, match="lists no model"):
            await HttpBackend(server.url).start()


async def test_a_thinking_model_starts_with_a_warning_and_its_remedy(
    server: ChatServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.fail("thinking")
    backend = HttpBackend(server.url)
    await backend.start()
    assert "enable_thinking" in backend.description["canary"]
    assert "enable_thinking" in caplog.text
    await backend.aclose()


async def test_a_bad_key_is_refused_at_start_and_a_key_never_shows(caplog: pytest.LogCaptureFixture) -> None:
    """The server repeats the key that it was given in its refusal, as some do."""
    caplog.set_level(logging.DEBUG)
    with ChatServer(api_key=SECRET) as server:
        wrong = HttpBackend(server.url, "tiny-grader", api_key="wrong-" + SECRET, retries=QUICK)
        with pytest.raises(BackendUnavailable, match="valid API key") as caught:
            await wrong.start()
        right = HttpBackend(server.url, api_key=SECRET + "\n", retries=QUICK)
        await right.start()
        server.fail(*TRANSIENT_FAULTS, "bad_request")
        (answers,) = await right.grade([task("the completion's own words")])
        assert any(isinstance(answer, Grade) for answer in answers)
        shown = [
            repr(caught.value),
            repr(wrong),
            repr(right),
            repr(vars(right)),
            str(right.description),
            right.identity,
        ]
        server.api_key = "changed"
        (refused,) = await right.grade([task()])
        await right.aclose()
    assert refused == (Unscorable(BACKEND_ERROR, "HTTP 401 Unauthorized", transient=True),) * 3
    assert caplog.records
    for text in [*shown, repr(refused), caplog.text, repr([vars(record) for record in caplog.records])]:
        assert SECRET not in text
        assert "own words" not in text


async def test_health_is_fresh_grades_or_a_remembered_probe(
    server: ChatServer, started: HttpBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await started.healthy()
    monkeypatch.setattr("grader.backends.http.backend._HEALTH_FRESH_SECONDS", 0.0)
    assert await started.healthy()
    server.stop()
    assert not await started.healthy()
    server.start()
    assert await started.healthy()
    server.api_key = "changed"
    assert not await started.healthy()


async def test_grading_before_start_and_after_close_is_an_error(server: ChatServer, started: HttpBackend) -> None:
    with pytest.raises(BackendUnavailable, match="not started"):
        await HttpBackend(server.url, "tiny-grader").grade([task()])
    await started.aclose()
    with pytest.raises(BackendUnavailable, match="not started"):
        await started.grade([task()])
    assert not await HttpBackend(server.url, "tiny-grader").healthy()


def test_tokens_grow_with_text_and_questions_and_are_never_zero() -> None:
    backend = HttpBackend("http://127.0.0.1:9", "m")
    short, long = backend.tokens(task("x")), backend.tokens(task("x" * 4000))
    assert long - short == pytest.approx(1000, abs=1)
    assert backend.tokens(task("x", ("sure",))) < short
    assert backend.tokens(GradeTask((), 0, Template(""), ())) >= 1


@pytest.mark.parametrize(
    "reply",
    [
        None, [], "text", {}, {"choices": None}, {"choices": [None]}, {"choices": [{"logprobs": []}]},
        {"choices": [{"logprobs": {"content": {}}}]}, {"choices": [{"logprobs": {"content": [{"top_logprobs": {}}]}}]},
        {"choices": [{"logprobs": {"content": [{"top_logprobs": [[]]}]}}]},
        {"choices": [{"logprobs": {"content": [{"top_logprobs": [{"token": "yes", "logprob": True}]}]}}]},
        {"choices": [{"logprobs": {"content": [{"top_logprobs": [{"token": 7, "logprob": -1.0}]}]}}]},
        {"choices": [{"logprobs": {"content": [{"top_logprobs": [{"token": "yes", "logprob": -(10**400)}]}]}}]},
    ],
)  # fmt: skip
def test_a_reply_of_any_other_shape_is_malformed(reply: Any) -> None:
    answer = read_answer(reply, 20, 0.5)
    assert isinstance(answer, Unscorable)
    assert answer.reason == MALFORMED_ANSWER


@pytest.mark.parametrize("part", ["id", "object", "created", "model", "usage", "system_fingerprint"])
def test_what_is_not_needed_may_be_missing(part: str) -> None:
    reply = completion("prompt", "m", 2.5, 20)
    del reply[part]
    assert_right(read_answer(reply, 20, 0.5), 2.5)
