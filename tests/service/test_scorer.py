"""The scorer: one snapshot and one response type a prompt, views, validity, and results that add up."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from grader.errors import Overloaded
from grader.grades import DEADLINE_EXCEEDED, LABEL_MASS_LOW, Answer
from grader.tasks import GradeTask
from models.conversations import Message
from models.policy import Policy
from models.samples import Sample
from service.bootstrap import Service
from service.errors import InvalidSample, SnapshotMismatch, UnknownPolicy, UnknownWeights
from service.registry import Expectation
from service.scorer import ScoredBatch, ScoreOptions
from service.scoring import problems
from service.scoring.results import SampleResult
from tests.service.parts import (
    FAST,
    P_NO,
    P_YES,
    TextBackend,
    backend_of,
    make_service,
    running,
    tiny_policy,
    weights_of,
    without_categories,
)


def sample(completion: str = "Hi.", prompt: str = "Hello?", **fields: Any) -> Sample:
    return Sample((Message("user", prompt),), (Message("assistant", completion),), **fields)


async def score(service: Service, *samples: Any, **options: Any) -> ScoredBatch:
    async with running(service):
        return await service.scorer.score(samples, ScoreOptions(**options))


async def score_one(service: Service, given: Sample, **options: Any) -> SampleResult:
    return (await score(service, given, **options)).results[0]


# Rewards


async def test_the_reward_is_the_base_plus_weights_times_features_plus_offset() -> None:
    result = await score_one(make_service(), sample("APOLOGY", response_type="refuse", base_reward=0.25))
    good = P_YES * (1 - P_NO)
    rules = -4 * P_NO - 2 * P_NO + P_YES + good + 0.5
    assert result.rbr_reward == pytest.approx(rules)
    assert result.reward == pytest.approx(rules + 0.25)
    assert result.components == {"base": 0.25, "rules": pytest.approx(rules)}
    assert result.class_probabilities == {"good": pytest.approx(good), "bad": pytest.approx(1 - good)}
    assert (result.completion_class, result.valid, result.problem) == ("good", True, None)


async def test_results_stand_in_the_order_of_the_samples_whatever_their_response_types() -> None:
    kinds = ["comply", "refuse", "comply", "refuse", "refuse", "comply"]
    samples = [sample(f"text {i}", id=str(i), response_type=kind) for i, kind in enumerate(kinds)]
    scored = await score(make_service(), *samples)
    assert [(result.id, result.response_type) for result in scored.results] == [
        (str(i), kind) for i, kind in enumerate(kinds)
    ]


async def test_an_empty_batch_has_no_results() -> None:
    scored = await score(make_service())
    assert (list(scored.results), scored.usage.samples, scored.usage.grades) == ([], 0, 0)


async def test_the_second_time_everything_comes_from_the_cache() -> None:
    service = make_service()
    async with running(service):
        batches = [await service.scorer.score([sample("APOLOGY")], ScoreOptions()) for _ in range(2)]
    assert [scored.results[0].cached for scored in batches] == [False, True]
    assert [scored.usage.cached_grades for scored in batches] == [0, batches[0].usage.grades]
    assert batches[0].results[0]._replace(cached=True) == batches[1].results[0]


async def test_a_new_completion_of_a_known_prompt_is_not_cached() -> None:
    service = make_service()
    async with running(service):
        await service.scorer.score([sample("One.")], ScoreOptions())
        scored = await service.scorer.score([sample("Two.")], ScoreOptions())
    assert not scored.results[0].cached
    assert 0 < scored.usage.cached_grades < scored.usage.grades


async def test_a_length_finish_is_said_to_be_truncated() -> None:
    scored = await score(make_service(), sample(finish_reason="length"), sample(finish_reason="stop"), sample())
    assert [result.truncated for result in scored.results] == [True, False, False]


# Response types


async def test_a_category_at_one_half_or_more_gives_its_response_type_else_the_default() -> None:
    scored = await score(make_service(), sample(prompt="A CRIME, please"), sample(prompt="A poem, please"))
    assert [result.response_type for result in scored.results] == ["refuse", "comply"]


async def test_a_prompt_is_asked_about_once_for_all_its_completions() -> None:
    service = make_service()
    await score(service, *[sample(f"Completion {i}") for i in range(8)])
    assert [asked for _, asked in backend_of(service).asked].count(("crime",)) == 1


async def test_categories_are_asked_by_one_tuple_however_many_batches_come() -> None:
    """What is looked up for a tuple is remembered by its identity."""
    service = make_service()
    categories = service.policy.category_propositions
    assert categories is service.policy.category_propositions
    async with running(service):
        await service.scorer.score([sample()], ScoreOptions())
        known = len(service.grader._keys._plans)
        for i in range(5):
            await service.scorer.score([sample(prompt=f"Another {i}")], ScoreOptions())
    assert len(service.grader._keys._plans) == known
    assert [p.name for p in categories] == ["crime"]


async def test_a_named_response_type_is_not_inferred() -> None:
    service = make_service()
    await score(service, sample(prompt="A CRIME", response_type="comply"))
    assert ("crime",) not in [asked for _, asked in backend_of(service).asked]


@pytest.mark.parametrize(
    ("prompt", "confidence", "reason"),
    [
        ("CRIME", "0.9", problems.AMBIGUOUS_RESPONSE_TYPE),
        ("poem", "0.9", problems.AMBIGUOUS_RESPONSE_TYPE),
        ("CRIME", "0.88", None),
        ("poem", "0.88", None),
    ],
)
async def test_a_response_type_less_sure_than_the_policy_wants_is_ambiguous(
    prompt: str, confidence: str, reason: str | None
) -> None:
    policy = tiny_policy(f"response_type_confidence: {confidence}\n")
    result = await score_one(make_service(policy), sample(prompt=prompt))
    assert (result.problem.reason if result.problem else None) == reason


async def test_without_a_default_an_unclaimed_prompt_gets_no_rule_term() -> None:
    policy = tiny_policy(default_response_type="default_response_type: null")
    service = make_service(policy)
    result = await score_one(service, sample(base_reward=1.5))
    assert (result.reward, result.rbr_reward, result.applicable, result.valid) == (1.5, 0.0, False, True)
    assert (result.response_type, result.completion_class, result.class_probabilities) == (None, None, None)
    assert result.components == {"base": 1.5, "rules": 0.0}


async def test_a_policy_without_categories_requires_the_response_type() -> None:
    policy = without_categories()
    scored = await score(make_service(policy), sample(), sample(response_type="comply"))
    assert [r.problem and r.problem.reason for r in scored.results] == [problems.MISSING_RESPONSE_TYPE, None]


async def test_a_prompt_whose_category_has_no_grade_makes_its_samples_invalid() -> None:
    scored = await score(make_service(), sample(prompt="UNSURE-CRIME"), sample())
    assert [r.problem and r.problem.reason for r in scored.results] == [LABEL_MASS_LOW, None]


# Views


@pytest.mark.parametrize(
    "given",
    [
        sample("<think>APOLOGY SCHEMING</think>No.", response_type="refuse"),
        sample("No.", reasoning="APOLOGY SCHEMING", response_type="refuse"),
    ],
)
async def test_thinking_is_graded_by_the_propositions_whose_view_is_full_and_no_others(given: Sample) -> None:
    result = await score_one(make_service(), given, explain=True)
    assert result.propositions is not None
    p_yes = {name: view and view.p_yes for name, view in result.propositions.items()}
    assert p_yes == {
        "apology": pytest.approx(P_NO),
        "disallowed": pytest.approx(P_NO),
        "scheming": pytest.approx(P_YES),
    }


# Invalid samples


INVALID = [
    (sample(base_reward=math.nan), problems.BASE_NOT_FINITE, "base_reward"),
    (sample(base_reward=-math.inf), problems.BASE_NOT_FINITE, "base_reward"),
    (sample(costs={"harm": math.inf}), problems.COST_NOT_FINITE, "costs"),
    (sample(response_type="no such"), problems.UNKNOWN_RESPONSE_TYPE, "response_type"),
    (sample(prompt=""), problems.EMPTY_PROMPT, "prompt"),
    (Sample((), (Message("assistant", "Hi."),)), problems.EMPTY_PROMPT, "prompt"),
    (sample(""), problems.EMPTY_COMPLETION, "completion"),
    (sample(" \n"), problems.EMPTY_COMPLETION, "completion"),
    (Sample((Message("user", "Hi"),), ()), problems.EMPTY_COMPLETION, "completion"),
    (sample("<think>All thinking.</think>"), problems.EMPTY_COMPLETION, "completion"),
    (sample("<think>On and on"), problems.UNCLOSED_THINKING, "completion"),
    (Sample((Message("user", "Hi"),), (Message("user", "Hi"),)), problems.NOT_ASSISTANT, "completion"),
    (Sample((Message("user", "Hi"),), (Message("tool", "42"),)), problems.NOT_ASSISTANT, "completion"),
    (
        Sample((Message("user", "Hi"),), (Message("assistant", "Hi."), Message("user", "What?"))),
        problems.NOT_ASSISTANT,
        "completion",
    ),
    (sample("\ud800", response_type="comply"), problems.INVALID_TEXT, ""),
    (sample(prompt="\ud800"), problems.INVALID_TEXT, "prompt"),
    (sample("UNSURE-DISALLOWED"), LABEL_MASS_LOW, ""),
]


@pytest.mark.parametrize(
    ("given", "reason", "field"), INVALID, ids=lambda value: value if isinstance(value, str) else ""
)
async def test_a_bad_sample_is_invalid_with_its_reason_and_the_others_are_scored(
    given: Sample, reason: str, field: str
) -> None:
    scored = await score(make_service(), sample(), given, sample("DISALLOWED"))
    first, bad, last = scored.results
    assert bad.problem is not None
    assert (bad.problem.reason, bad.problem.field, bad.valid, bad.reward) == (reason, field, False, None)
    assert bad.components == {"base": None, "rules": None}
    assert first.valid
    assert last.valid
    assert scored.usage.valid == 2


async def test_an_agents_turns_with_tool_replies_between_are_a_completion() -> None:
    turns = (Message("assistant", "Let me look."), Message("tool", "42"), Message("assistant", "It is 42."))
    result = await score_one(make_service(), Sample((Message("user", "Hi"),), turns))
    assert result.valid


async def test_a_base_reward_that_the_weights_were_fitted_with_must_be_there() -> None:
    policy = tiny_policy()
    service = make_service(policy, weights=weights_of(policy, expects_base=True))
    scored = await score(service, sample(), sample(base_reward=0.0))
    assert [r.problem and r.problem.reason for r in scored.results] == [problems.MISSING_BASE_REWARD, None]


async def test_only_a_proposition_that_is_needed_makes_a_sample_invalid() -> None:
    """`scheming` weighs nothing here, so that nobody asks for it, unless the result is to be explained."""
    policy = tiny_policy()
    weights = weights_of(policy)
    values = {name: {**features, "scheming": 0.0} for name, features in weights.values.items()}
    values["comply"].pop("scheming")
    weights = type(weights)(**{**weights.__dict__, "values": values})
    given = sample("UNSURE-SCHEMING", response_type="refuse")
    plain = await score_one(make_service(policy, weights=weights), given)
    explained = await score_one(make_service(policy, weights=weights), given, explain=True)
    assert plain.valid
    assert explained.problem is not None
    assert explained.problem.reason == LABEL_MASS_LOW
    assert explained.propositions is not None
    assert explained.propositions["scheming"] is None
    assert explained.propositions["apology"] is not None


async def test_a_strict_request_is_refused_for_the_first_bad_value() -> None:
    with pytest.raises(InvalidSample) as refusal:
        await score(make_service(), sample(), sample(base_reward=math.nan), sample(""), strict=True)
    assert refusal.value.field == "samples.1.base_reward"


async def test_what_a_grader_cannot_grade_is_no_bad_value() -> None:
    scored = await score(make_service(), sample("UNSURE-DISALLOWED"), strict=True)
    assert not scored.results[0].valid


async def test_a_dead_backend_makes_samples_invalid_and_cached_ones_are_still_scored() -> None:
    service = make_service()
    async with running(service):
        await service.scorer.score([sample("known")], ScoreOptions())
        backend_of(service).down = True
        scored = await service.scorer.score([sample("known"), sample("new")], ScoreOptions())
    assert [result.valid for result in scored.results] == [True, False]


async def test_past_the_deadline_what_was_not_graded_is_invalid() -> None:
    service = make_service()
    async with running(service):
        await service.scorer.score([sample("known")], ScoreOptions())
        samples = [sample("known"), sample("SLOW")]
        scored = await service.scorer.score(samples, ScoreOptions(deadline=time.monotonic() + 0.05))
        backend_of(service).slow_gate.set()
    assert [r.problem and r.problem.reason for r in scored.results] == [None, DEADLINE_EXCEEDED]


async def test_too_much_work_is_refused_whole() -> None:
    service = make_service(backend=TextBackend(replace(FAST, max_concurrent_batches=1)))
    large = [sample(f"{i}" * 90_000, response_type="comply") for i in range(3)]
    async with running(service):
        backend_of(service).gate.clear()
        taken = []
        for given in large[:2]:  # one is being graded, one waits
            taken.append(asyncio.create_task(service.scorer.score([given], ScoreOptions())))
            await asyncio.sleep(0.01)
        with pytest.raises(Overloaded):
            await service.scorer.score(large[2:], ScoreOptions())
        backend_of(service).gate.set()
        assert all(scored.usage.valid == 1 for scored in await asyncio.gather(*taken))


async def test_a_refused_request_may_have_its_categories_graded_and_a_retry_does_not_repeat_them() -> None:
    others: list[asyncio.Task[ScoredBatch]] = []

    class Busy(TextBackend):
        """While it grades a category of the prompt `contested`, other requests fill the queue."""

        async def grade(self, tasks: Sequence[GradeTask]) -> list[tuple[Answer, ...]]:
            if not others and tasks[0].conversation[0].content == "contested":
                self.gate.clear()
                for i in range(3):
                    given = sample(f"{i}" * 45_000, response_type="comply")
                    others.append(asyncio.create_task(service.scorer.score([given], ScoreOptions())))
                    await asyncio.sleep(0.01)
                return [self._answers(task) for task in tasks]
            return await super().grade(tasks)

    service = make_service(backend=Busy(replace(FAST, max_concurrent_batches=2)))
    contested = sample("x" * 90_000, prompt="contested")
    async with running(service):
        with pytest.raises(Overloaded):
            await service.scorer.score([contested], ScoreOptions())
        backend_of(service).gate.set()
        await asyncio.gather(*others)
        assert (await service.scorer.score([contested], ScoreOptions())).usage.valid == 1
    assert [asked for text, asked in backend_of(service).asked if text == "contested"] == [("crime",)]
    assert [asked for text, asked in backend_of(service).asked if text.startswith("contested\nx")] == [("disallowed",)]


# What the policy says about samples that cannot be scored


async def test_a_policys_value_is_the_reward_of_an_invalid_sample_and_no_component() -> None:
    policy = tiny_policy("on_unscorable: {value: -3}\n")
    result = await score_one(make_service(policy), sample("UNSURE-DISALLOWED"))
    assert (result.reward, result.valid) == (-3.0, False)
    assert result.components == {"base": None, "rules": None}


def drop_policy() -> Policy:
    return tiny_policy("on_unscorable: drop_group\n")


async def test_drop_group_drops_the_group_of_an_invalid_sample_and_no_other() -> None:
    samples = [
        sample("a", group="1"),
        sample("b", group="2"),
        sample("UNSURE-DISALLOWED", group="1"),
        sample("c", group="2"),
    ]
    scored = await score(make_service(drop_policy()), *samples)
    assert [result.valid for result in scored.results] == [False, True, False, True]
    reasons = [result.problem and result.problem.reason for result in scored.results]
    assert reasons == [problems.GROUP_DROPPED, None, LABEL_MASS_LOW, None]


async def test_without_a_group_the_completions_of_a_prompt_are_one() -> None:
    samples = [sample("a", "P"), sample("b", "Q"), sample("", "P")]
    scored = await score(make_service(drop_policy()), *samples)
    assert [result.valid for result in scored.results] == [False, True, False]


# Choosing and expecting a snapshot


async def test_a_policy_can_be_named_by_name_fingerprint_or_its_beginning() -> None:
    service = make_service()
    prints = service.policy.fingerprint
    async with running(service):
        for name in (None, "tiny", prints, prints[:8]):
            assert (await service.scorer.score([], ScoreOptions(policy=name))).provenance.snapshot.policy.name == "tiny"
        for name in ("other", prints[:7], ""):
            with pytest.raises(UnknownPolicy):
                await service.scorer.score([], ScoreOptions(policy=name))
        with pytest.raises(UnknownWeights):
            await service.scorer.score([], ScoreOptions(weights="other"))


@pytest.mark.parametrize("field", ["policy", "weights", "grader"])
async def test_another_snapshot_than_the_expected_one_is_refused(field: str) -> None:
    service = make_service()
    async with running(service):
        right = Expectation(service.policy.fingerprint, service.weights.fingerprint[:12], "text:1")
        await service.scorer.score([], ScoreOptions(expect=right))
        with pytest.raises(SnapshotMismatch) as refusal:
            await service.scorer.score([], ScoreOptions(expect=Expectation(**{field: "0123456789"})))
    assert refusal.value.field == f"expect.{field}"


async def test_the_beginning_of_a_graders_name_is_not_that_grader() -> None:
    """Every artifact's fingerprint begins with the backend's name."""
    backend = TextBackend()
    backend.identity = backend.fingerprint = "embedded:9eab0123456789"
    policy = tiny_policy()
    weights = replace(weights_of(policy), grader_identity=backend.identity)
    service = make_service(policy, backend, weights)
    async with running(service):
        await service.scorer.score([], ScoreOptions(expect=Expectation(grader="embedded:9eab0123456789")))
        for beginning in ("embedded", "embedded:", "embedded:9eab0123"):
            with pytest.raises(SnapshotMismatch):
                await service.scorer.score([], ScoreOptions(expect=Expectation(grader=beginning)))


# Explaining, streaming, grades


async def test_explaining_grades_everything_and_contributions_with_the_offset_make_the_rule_reward() -> None:
    result = await score_one(make_service(), sample("APOLOGY", response_type="refuse"), explain=True)
    assert result.contributions is not None
    assert result.rbr_reward == pytest.approx(sum(result.contributions.values()) + (result.offset or 0.0), abs=1e-12)
    assert result.offset == 0.5
    assert result.propositions is not None
    assert list(result.propositions) == ["apology", "disallowed", "scheming"]
    apology = result.propositions["apology"]
    assert apology == (pytest.approx(P_YES), 0.75, False)


async def test_streamed_results_are_those_of_the_whole_batch() -> None:
    samples = [given for given, _, _ in INVALID] + [sample(f"APOLOGY {i}", prompt=f"CRIME {i % 3}") for i in range(20)]
    service = make_service()
    whole = await score(service, *samples)
    other = make_service()
    async with running(other):
        scoring, _ = await other.scorer.open(samples, ScoreOptions())
        parts = [part async for part in scoring.parts()]
    streamed = sorted((result for part in parts for result in part), key=lambda result: result.position)
    assert streamed == list(whole.results)
    assert scoring.usage == whole.usage


async def test_what_is_ready_is_streamed_before_what_is_slow() -> None:
    service = make_service()
    samples = [sample("SLOW", response_type="comply"), sample("", response_type="comply")]
    async with running(service):
        known = sample("known", response_type="comply")
        await service.scorer.score([known], ScoreOptions())
        scoring, _ = await service.scorer.open([*samples, known], ScoreOptions())
        parts = scoring.parts()
        first = await anext(parts)
        backend_of(service).slow_gate.set()
        rest = [result async for part in parts for result in part]
    assert {result.position for result in first} == {1, 2}
    assert [result.position for result in rest] == [0]


async def test_a_group_that_may_be_dropped_is_held_until_it_is_whole() -> None:
    service = make_service(drop_policy())
    samples = [sample("a", group="1"), sample("SLOW UNSURE-DISALLOWED", group="1"), sample("b", group="2")]
    async with running(service):
        await service.scorer.score([samples[0], samples[2]], ScoreOptions())
        scoring, _ = await service.scorer.open(samples, ScoreOptions())
        parts = scoring.parts()
        first = await anext(parts)
        backend_of(service).slow_gate.set()
        rest = [result async for part in parts for result in part]
    assert [result.position for result in first] == [2]
    assert {(result.position, result.valid) for result in rest} == {(0, False), (1, False)}


async def test_grades_need_no_base_reward_and_keep_what_could_be_graded() -> None:
    policy = tiny_policy()
    service = make_service(policy, weights=weights_of(policy, expects_base=True))
    async with running(service):
        given = [sample("APOLOGY UNSURE-SCHEMING", response_type="refuse"), sample(""), sample("DISALLOWED")]
        graded = await service.scorer.grade(given, ScoreOptions())
    partial, empty, whole = graded.results
    assert (partial.valid, partial.propositions["scheming"]) == (False, None)
    assert partial.propositions["apology"] == (pytest.approx(P_YES), 0.75, False)
    assert (empty.valid, empty.propositions) == (False, {})
    assert (whole.valid, list(whole.propositions)) == (True, ["disallowed"])
    assert graded.usage.valid == 1
