"""Thresholds from labelled rows: measured on rows held out, and the same for the same rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grader.backends.cascade import Bounds
from grader.backends.embedded import EmbeddedBackend
from grader.cascade_fit import Goal, Labelled, first_logits, fit_thresholds
from grader.cascade_fit.held_out import bootstrap
from grader.grades import UNKNOWN_PROPOSITION, Grade, Unscorable
from grader.held_out import deal_folds
from grader.tasks import GradeTask
from models.errors import RowError
from models.policy import load_policy
from models.rows import read_rows, row_from_json
from tests.grader.cascade_fit.test_bounds import drawn
from tests.support import GOLD, needs_shared_data

POLICY = load_policy("safety")


def label(name: str, logits_S: np.ndarray, yes_S: np.ndarray) -> Labelled:
    return Labelled(POLICY.propositions[name], logits_S, yes_S, tuple(str(i // 2) for i in range(len(yes_S))))


def row(number: int, **propositions: object) -> object:
    return row_from_json({"prompt": f"Question {number}?", "completion": "Sorry.", "propositions": propositions})


def test_the_report_has_figures_of_held_out_rows_with_intervals() -> None:
    labels = [label("apology", *drawn(1, 600)), label("judgement", *drawn(2, 600))]
    report = fit_thresholds(labels, "a", "b", Goal(0.95, 0.9))
    document = report.to_json()
    figures = document["propositions"]["apology"]
    low, high = figures["held_out"]["agreement_interval"]
    assert low < figures["held_out"]["agreement"] < high
    share_low, share_high = document["held_out"]["share_interval"]
    assert share_low < document["held_out"]["share"] < share_high
    assert document["held_out"]["share"] > 0.3
    assert document["held_out"]["agreement"] > 0.94
    assert (document["first"], document["second"]) == ("a", "b")
    assert fit_thresholds(labels, "a", "b", Goal(0.95, 0.9)).to_json() == document


def test_held_out_figures_are_not_those_of_the_fit() -> None:
    """Labels that are noise: bounds find agreement by chance where they look, and lose it where they do not."""
    random = np.random.default_rng(0)
    logits_S, yes_S = random.normal(0, 3, 400), random.random(400) < 0.5
    report = fit_thresholds([label("apology", logits_S, yes_S)], "a", goal=Goal(0.9, 0.01))
    fitted = report.thresholds.propositions["apology"]
    assert fitted.agreement >= 0.9
    assert report.held_out[0].answered_agreement is not None
    assert report.held_out[0].answered_agreement < 0.7


def test_rows_of_a_prompt_are_held_out_together_and_folds_are_even() -> None:
    groups = [str(i // 3) for i in range(300)]
    fold_S = deal_folds(groups, 3, 5)
    assert all(len(set(fold_S[i : i + 3])) == 1 for i in range(0, 300, 3))
    assert np.bincount(fold_S).tolist() == [60] * 5
    assert (deal_folds(groups, 4, 5) != fold_S).any()


def test_the_interval_of_a_share_is_that_of_its_groups() -> None:
    """40 groups that agree within themselves vary as 40 draws, not as 400."""
    group_S = np.repeat(np.arange(40), 10)
    low, high = bootstrap([(group_S % 2 == 0, group_S)], 40)
    assert high - low == pytest.approx(4 * 0.5 / np.sqrt(40), rel=0.15)


async def test_rows_are_asked_only_what_they_know_and_a_grade_that_is_missing_stays_missing() -> None:
    asked: list[GradeTask] = []

    async def ask(tasks: list[GradeTask]) -> list[tuple[Grade | Unscorable, ...]]:
        asked.extend(tasks)
        return [
            tuple(Grade(2.0) if p.name == "apology" else Unscorable(UNKNOWN_PROPOSITION) for p in task.propositions)
            for task in tasks
        ]

    rows = [row(0, apology=0.7, judgement=False), row(1, judgement=True), row(2, apology=False, unknown_one=True)]
    labels = {each.proposition.name: each for each in await first_logits(rows, POLICY, ask)}  # type: ignore[arg-type]
    assert [sorted(p.name for p in task.propositions) for task in asked] == [
        ["apology", "judgement"],
        ["judgement"],
        ["apology"],
    ]
    assert labels.keys() == {"apology", "judgement"}
    assert labels["apology"].yes_S.tolist() == [True, False]
    assert np.isnan(labels["judgement"].logits_S).all()
    report = fit_thresholds(list(labels.values()), "a")
    assert {fitted.bounds for fitted in report.thresholds.propositions.values()} == {Bounds()}


async def test_rows_without_a_grade_of_the_policy_are_refused() -> None:
    with pytest.raises(RowError, match="no row has a grade"):
        await first_logits([row(0, nothing=True)], POLICY, EmbeddedBackend().grade)  # type: ignore[list-item]


@pytest.mark.parametrize(("goal", "name"), [(Goal(1.0), "agreement"), (Goal(0.98, 0.0), "confidence")])
def test_a_goal_that_no_rows_can_show_is_refused(goal: Goal, name: str) -> None:
    with pytest.raises(RowError, match=name):
        fit_thresholds([label("apology", *drawn(1, 50))], "a", goal=goal)


@needs_shared_data
async def test_half_of_the_gold_answers_never_reach_the_second_grader_at_098() -> None:
    """The shipped heads, which were never trained on gold; thresholds judged on rows they were not fitted to."""
    rows = [replace(each, category=None) for each in read_rows(GOLD)]
    backend = EmbeddedBackend()
    labels = await first_logits(rows, POLICY, backend.grade)
    report = fit_thresholds(labels, backend.identity, goal=Goal(0.98, 0.9))
    assert report.share > 0.5
    assert report.agreement > 0.98
    assert min(one.agreement for one in report.held_out) > 0.97
