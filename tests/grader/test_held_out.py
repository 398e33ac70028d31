"""Folds keep families together; calibration is monotone, tame with few positives, and never from the fold itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import expit

from grader.held_out import calibrated_apart, deal_folds, platt, shift, units
from models.errors import RowError


@given(st.lists(st.text("abcd/1", max_size=5), min_size=1, max_size=40), st.integers(0, 3))
def test_what_may_not_be_parted_is_in_one_fold_and_folds_are_even(groups, seed):
    assume(len(set(groups)) >= 3)
    fold, names = deal_folds(groups, seed, 3), units(groups, 3)
    assert len(set(zip(names, fold.tolist(), strict=True))) == len(set(names))
    sizes = [len({name for name, place in zip(names, fold, strict=True) if place == k}) for k in range(3)]
    assert max(sizes) - min(sizes) <= 1


def test_families_are_kept_together_where_there_are_enough():
    assert units(["a/1", "a/2", "b/1", "c"], 3) == ["a", "a", "b", "c"]


def test_groups_of_one_family_are_dealt_one_by_one():
    """Groups that happen to share a folder-like name are no reason to have a single fold, and heads of no rows."""
    assert len(set(deal_folds([f"train/{i}" for i in range(20)], 0, 5).tolist())) == 5


def test_fewer_prompts_than_folds_are_refused():
    with pytest.raises(RowError, match="too few for 5 folds"):
        deal_folds(["one"] * 60, 0, 5)


def test_the_calibration_that_made_the_labels_is_found():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=20_000) * 3
    labels = (rng.random(20_000) < expit(0.5 * scores - 1)).astype(float)
    assert platt(scores, labels) == pytest.approx((0.5, -1.0), abs=0.05)


@given(st.lists(st.tuples(st.floats(-30, 30), st.booleans()), min_size=1, max_size=30))
def test_calibration_is_finite_and_rising_whatever_the_scores(rows):
    scores, labels = np.array([score for score, _ in rows]), np.array([float(label) for _, label in rows])
    slope, intercept = platt(scores, labels)
    assert slope > 0
    assert np.isfinite([slope, intercept, shift(scores, labels)]).all()


def test_one_positive_does_not_make_the_others_sure():
    scores = np.concatenate([[5.0], np.linspace(-6, -4, 60)])
    slope, intercept = platt(scores, (scores > 0).astype(float))
    assert 0.5 < expit(slope * 5 + intercept) < 0.9999


def test_rows_of_one_label_lower_the_level_and_keep_the_order():
    scores = np.linspace(-3, 3, 50)
    intercept = shift(scores, np.zeros(50))
    assert intercept < -1
    assert expit(scores + intercept).mean() < 0.2
    assert shift(np.empty(0), np.empty(0)) == 0


def test_a_fold_is_calibrated_on_the_others():
    """Changing the labels of one fold leaves its own logits alone."""
    rng = np.random.default_rng(1)
    scores, fold = rng.normal(size=60), np.arange(60) % 3
    labels = (scores + rng.normal(size=60) > 0).astype(float)
    turned = np.where(fold == 0, 1 - labels, labels)
    before, after = calibrated_apart(scores, labels, fold), calibrated_apart(scores, turned, fold)
    assert np.array_equal(before[fold == 0], after[fold == 0])
    assert not np.array_equal(before[fold == 1], after[fold == 1])
