from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit, logit
from sklearn import metrics

from models.evaluate import MEASURES, NEEDS_BOTH_LABELS, measures
from models.evaluate.measures import bin_of


@st.composite
def judged(draw: st.DrawFn, *, both: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Labels and logits, with many ties."""
    rows = draw(st.integers(2, 30))
    truth_S = draw(hnp.arrays(np.bool_, rows))
    if both:
        truth_S[:2] = [True, False]
    logits_S = draw(hnp.arrays(np.float64, rows, elements=st.sampled_from([-3.0, -1.0, -0.5, 0.0, 0.5, 2.0, 6.0])))
    return truth_S, logits_S


def of(truth, logits, **options):
    found = measures(np.asarray(truth, bool), np.asarray(logits, float), **options)
    return {name: float(values[0]) for name, values in found.items()}


def test_a_small_case_worked_by_hand():
    """Two of four pairs are won and one is tied; three of four answers are right."""
    found = of([True, True, False, False], logit([0.9, 0.6, 0.6, 0.2]))
    assert found["auroc"] == pytest.approx(3.5 / 4)
    assert found["accuracy"] == pytest.approx(0.75)
    assert found["balanced_accuracy"] == pytest.approx((1 + 0.5) / 2)
    assert found["brier"] == pytest.approx((0.1**2 + 0.4**2 + 0.6**2 + 0.2**2) / 4)
    assert found["ece"] == pytest.approx((0.1 + abs(1 - 1.2) + 0.2) / 4)
    assert found["kappa"] == pytest.approx((0.75 - 0.5) / 0.5)


def test_a_perfect_grader():
    found = of([True, False, True], [30, -30, 30])
    assert [found[name] for name in MEASURES] == pytest.approx([1, 1, 1, 0, 0, 1], abs=1e-9)


@given(judged())
def test_they_are_those_of_scikit_learn(case):
    truth_S, logits_S = case
    found, yes_S = of(truth_S, logits_S), logits_S >= 0
    assert found["auroc"] == pytest.approx(metrics.roc_auc_score(truth_S, logits_S))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth_S, yes_S))
    assert found["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth_S, yes_S))
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(truth_S, expit(logits_S)))
    assert found["kappa"] == pytest.approx(metrics.cohen_kappa_score(truth_S, yes_S))


@given(judged(), st.data())
def test_counts_weigh_rows_as_repeating_them_does(case, data: st.DataObject):
    truth_S, logits_S = case
    counts_S = data.draw(hnp.arrays(np.int64, len(truth_S), elements=st.integers(0, 4)))
    counts_S[:2] = np.maximum(counts_S[:2], 1)
    weighted = of(truth_S, logits_S, counts_B_S=counts_S[None].astype(float))
    repeated = of(np.repeat(truth_S, counts_S), np.repeat(logits_S, counts_S))
    assert weighted == pytest.approx(repeated, abs=1e-12, nan_ok=True)


@given(judged())
def test_auroc_depends_on_the_order_alone_and_turns_around_with_it(case):
    truth_S, logits_S = case
    auroc = of(truth_S, logits_S)["auroc"]
    assert of(truth_S, 3 * logits_S - 7)["auroc"] == auroc
    assert of(truth_S, np.sinh(logits_S))["auroc"] == auroc
    assert of(truth_S, -logits_S)["auroc"] == pytest.approx(1 - auroc)
    assert of(~truth_S, logits_S)["auroc"] == pytest.approx(1 - auroc)


@given(judged())
def test_every_measure_stays_within_its_bounds(case):
    found = of(*case)
    assert -1 <= found["kappa"] <= 1
    assert all(0 <= found[name] <= 1 for name in MEASURES if name != "kappa")
    assert found["ece"] <= np.sqrt(found["brier"]) + 1e-12


@given(judged(both=False))
def test_the_order_of_rows_does_not_matter(case):
    truth_S, logits_S = case
    assert of(truth_S, logits_S) == pytest.approx(of(truth_S[::-1], logits_S[::-1]), nan_ok=True)


@pytest.mark.parametrize("label", [True, False])
def test_what_needs_both_labels_is_undefined_with_one(label: bool):
    found = of([label] * 3, [1, -1, 2])
    assert {name for name, value in found.items() if np.isnan(value)} == NEEDS_BOTH_LABELS


def test_bins_are_ten_of_equal_width():
    assert bin_of(np.array([0.0, 0.05, 0.1, 0.55, 0.999, 1.0])).tolist() == [0, 0, 1, 5, 9, 9]
