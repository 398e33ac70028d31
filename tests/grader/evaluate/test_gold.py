"""Labelled rows through the real chain, with a backend whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from grader.evaluate import GoldGrades, grade_gold, run_experiment
from grader.grades import LABEL_MASS_LOW, Answer, Grade, Unscorable
from grader.tasks import GradeTask
from models.errors import EvaluationError
from models.policy import Policy, read_policy
from models.rows import Row, row_from_json
from tests.grader.chain import HashBackend, new_grader

POLICY = """
prompt_template: "{{question}} {{response}}"
completion_class_order: [good, bad]
completion_classes: {{good: {{comply: {{right: true}}}}, bad: {{comply: {{right: false}}}}}}
derived_propositions: {{}}
simple_propositions:
  right: {{prompt: "{question}"}}
  polite: {{prompt: "Is it polite?"}}
  shouts: {{prompt: "Does it shout, even in thought?", view: full}}
"""


def policy(question: str = "Is it right?") -> Policy:
    return read_policy(POLICY.format(question=question))


def row(completion: str, **labels: bool | float) -> Row:
    return row_from_json({"prompt": "A question", "completion": completion, "propositions": labels})


def sees(proposition: str, text: str, question: str) -> Answer:
    """A grader that looks for the proposition's own name; asked sharply, it is surer of it."""
    if proposition == "polite":
        return Unscorable(LABEL_MASS_LOW, "no idea")
    sure = 4.0 if "sharply" in question else 0.5
    return Grade(sure if proposition in text.lower() else -sure)


def seeing(tasks: Sequence[GradeTask]) -> list[tuple[Answer, ...]]:
    return [
        tuple(sees(each.name, task.completion[0].content, each.question) for each in task.propositions)
        for task in tasks
    ]


async def graded(rows: Sequence[Row], rules: Policy | None = None, **options: Any) -> GoldGrades:
    backend = HashBackend()
    backend.answer = seeing
    options.setdefault("unusable", lambda sample: None if sample.completion[0].content else "empty_completion")
    return await grade_gold(new_grader(backend), rules or policy(), rows, **options)


async def test_what_is_labelled_is_asked_and_nothing_else():
    gold = await graded([row("It is right", right=True), row("No", right=False, shouts=False), row("?", right=0.4)])
    judgements = gold.judgements
    assert judgements.names == ("right", "polite", "shouts")
    np.testing.assert_array_equal(judgements.truth_S_P[:, 0], [1, 0, 0])
    np.testing.assert_array_equal(judgements.logits_S_P[:, 0], [0.5, -0.5, -0.5])
    assert np.isnan(judgements.logits_S_P[:, 1]).all()
    np.testing.assert_array_equal(np.isnan(judgements.logits_S_P[:, 2]), [True, False, True])
    assert gold.graded == 3


async def test_unusable_rows_and_unscorable_answers_are_counted_and_left_out():
    rows = [row("right", right=True, polite=True), row("", right=False), row("right", polite=False)]
    gold = await graded(rows)
    assert gold.left_out == {"empty_completion": 1}
    assert gold.unscorable == {LABEL_MASS_LOW: {"polite": 2}}
    assert gold.graded == 1
    assert np.isnan(gold.judgements.logits_S_P[1]).all()


async def test_each_proposition_sees_the_view_that_it_asks_for():
    gold = await graded([row("<think>SHOUTS, and right</think>No.", right=False, shouts=True)])
    assert gold.judgements.logits_S_P[0, [0, 2]].tolist() == [-0.5, 0.5]


async def test_labels_that_the_policy_does_not_have_are_named():
    gold = await graded([row("right", right=True, sings=True, dances=False)])
    assert gold.unknown == ("dances", "sings")


async def test_completions_of_one_prompt_are_one_group_and_progress_is_told():
    done: list[int] = []
    gold = await graded([row(f"right {i}", right=True) for i in range(70)], advance=done.append)
    assert set(gold.judgements.group_S.tolist()) == {0}
    assert done == [64, 6]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row("hm", sings=True)], "labels no proposition of the policy .*; it labels sings"),
        ([row("hm", polite=True)], f"no answer that can be compared with a label .{LABEL_MASS_LOW}"),
        ([row("", right=True)], "empty_completion"),
    ],
)
async def test_nothing_to_measure_is_an_error(rows: list[Row], message: str):
    with pytest.raises(EvaluationError, match=message):
        await graded(rows)


async def test_a_sharper_question_wins_the_experiment():
    """Both order the rows alike, so that AUROC does not move; the sharper one is surer, and rightly so."""
    rows = [row(f"{'right' if i % 3 else 'no'} {i}", right=bool(i % 3)) for i in range(60)]
    rows = [row_from_json({"prompt": f"Question {i}", **_json(each)}) for i, each in enumerate(rows)]
    plain, sharp = await graded(rows), await graded(rows, policy("Asked sharply: is it right?"))
    experiment = run_experiment(sharp, plain, resamples=500, seed=0)
    brier = experiment.comparison.propositions["right"]["brier"]
    assert brier.difference.value < 0
    assert brier.p_value < 0.01
    assert experiment.comparison.macro["auroc"].p_value == 1
    assert not experiment.alike
    assert run_experiment(plain, plain, resamples=100, seed=0).alike


async def test_graders_without_a_proposition_in_common_cannot_be_compared():
    one, other = await graded([row("right", right=True)]), await graded([row("right", shouts=True)])
    with pytest.raises(EvaluationError, match="matched by name"):
        run_experiment(one, other, resamples=100, seed=0)


def _json(given: Row) -> dict[str, Any]:
    return {"completion": given.sample.completion[0].content, "propositions": dict(given.propositions or {})}
