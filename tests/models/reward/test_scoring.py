from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.policy.reading import load_policy
from models.reward import Calibration, Line, Parts, Snapshot, combine, score_rules
from tests.models.examples import IDENTITY, small_policy, weights_for

POLICY = small_policy()
WEIGHTS = weights_for(POLICY)
VALUES = {"rude": -1.0, "wrong": -2.0, "long": 0.5, "good": 3.0, "weak": 0.0, "bad": -4.0}
SNAPSHOT = Snapshot(POLICY, replace(WEIGHTS, values={"comply": VALUES}, offsets={"comply": 0.25}))

_logits = arrays(np.float64, (4, 3), elements=st.floats(-1e6, 1e6))


@given(_logits)
def test_the_reward_is_the_weighted_sum_of_the_features_and_the_offset(logits_S_P: np.ndarray):
    scores = score_rules(SNAPSHOT, "comply", logits_S_P)
    for s, (rude, wrong, long) in enumerate(scores.p_S_P):
        classes = [(1 - rude) * (1 - wrong), rude * (1 - wrong), wrong]
        assert scores.p_S_C[s] == pytest.approx(classes, abs=1e-12)
        expected = 0.25 - rude - 2 * wrong + 0.5 * long + 3 * classes[0] - 4 * classes[2]
        assert scores.rbr_S[s] == pytest.approx(expected, abs=1e-12)
        assert scores.class_index_S[s] == int(np.argmax(classes))
    assert ((scores.p_S_P >= 0) & (scores.p_S_P <= 1)).all()
    np.testing.assert_allclose(scores.contributions_S_F.sum(axis=1) + 0.25, scores.rbr_S)


def test_extreme_logits_are_certain_and_no_error():
    """Warnings are errors in these tests: nothing may overflow."""
    scores = score_rules(SNAPSHOT, "comply", np.array([[-1e308, 1e308, 0.0]]))
    assert scores.p_S_P.tolist() == [[0.0, 1.0, 0.5]]


def test_what_was_not_needed_does_not_poison_the_reward():
    """Only ``wrong`` is graded, because only the class ``bad``, which it decides, has a weight."""
    snapshot = Snapshot(POLICY, replace(WEIGHTS, values={"comply": {"bad": -4.0}}))
    assert snapshot.needed("comply") == ("wrong",)
    scores = score_rules(snapshot, "comply", np.array([[np.nan, 0.0, np.nan]]))
    assert scores.rbr_S.tolist() == [-2.0]
    assert scores.contributions_S_F.tolist() == [[0.0, 0.0, 0.0, 0.0, 0.0, -2.0]]
    assert np.isnan(scores.p_S_C[0, :2]).all()
    assert scores.class_index_S.tolist() == [-1]


def test_what_was_needed_and_is_missing_makes_the_reward_unknown():
    scores = score_rules(SNAPSHOT, "comply", np.array([[np.nan, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    assert np.isnan(scores.rbr_S).tolist() == [True, False]


@given(_logits)
def test_a_sample_scores_the_same_alone_and_in_a_batch(logits_S_P: np.ndarray):
    together = score_rules(SNAPSHOT, "comply", logits_S_P).rbr_S
    alone = [score_rules(SNAPSHOT, "comply", logits_S_P[[s]]).rbr_S[0] for s in range(4)]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-12)


def test_of_equally_likely_classes_the_better_one_is_named():
    assert score_rules(SNAPSHOT, "comply", np.array([[0.0, -1e3, 0.0]])).class_index_S.tolist() == [0]


def test_calibration_comes_before_everything_else():
    calibration = Calibration({"rude": Line(0.5, 1.0), "long": Line(2.0, 0.0)}, IDENTITY)
    logits_S_P = np.array([[2.0, -1.0, 0.5]])
    calibrated = score_rules(Snapshot(POLICY, SNAPSHOT.weights, calibration), "comply", logits_S_P)
    expected = score_rules(SNAPSHOT, "comply", np.array([[2.0, -1.0, 1.0]]))
    np.testing.assert_allclose(calibrated.rbr_S, expected.rbr_S)


def test_an_empty_batch_scores_to_nothing():
    scores = score_rules(SNAPSHOT, "comply", np.empty((0, 3)))
    assert scores.rbr_S.shape == (0,)
    assert scores.p_S_C.shape == (0, 3)


def test_every_response_type_of_the_default_policy_is_scored():
    policy = load_policy("safety")
    snapshot = Snapshot(policy, weights_for(policy))
    for name, kind in policy.response_types.items():
        scores = score_rules(snapshot, name, np.random.default_rng(0).normal(size=(64, len(kind.propositions))))
        np.testing.assert_allclose(scores.p_S_C.sum(axis=1), 1.0)
        assert np.isfinite(scores.rbr_S).all()
        assert snapshot.needed(name) == kind.propositions


def test_combined_rewards_add_the_base_reward():
    reward_S, components = combine(SNAPSHOT, Parts(np.array([1.0, np.nan]), np.array([0.5, 0.5])))
    assert reward_S.tolist() == [1.5, 0.5]
    assert list(components) == ["base", "rules"]
