from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import binomtest

from models.evaluate import Judgements, measures, reliability
from tests.models.evaluate.examples import made_judgements


def test_each_bin_has_its_share_of_yes_with_the_wilson_interval():
    p_S = np.array([0.02, 0.04, 0.06, 0.75, 0.75])
    truth_S = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    found = reliability(Judgements(("a",), truth_S[:, None], logit(p_S)[:, None], np.arange(5)))["a"]
    np.testing.assert_allclose(found.p_yes_K, [0.04, 0.75])
    np.testing.assert_allclose(found.share_K, [1 / 3, 1])
    np.testing.assert_array_equal(found.rows_K, [3, 2])
    for k, (yes, rows) in enumerate([(1, 3), (2, 2)]):
        expected = binomtest(yes, rows).proportion_ci(method="wilson")
        assert (found.low_K[k], found.high_K[k]) == pytest.approx((expected.low, expected.high))


def test_the_distances_from_the_diagonal_make_up_the_calibration_error():
    made = made_judgements()
    for column, found in enumerate(reliability(made).values()):
        expected = measures(made.truth_S_P[:, column] > 0, made.logits_S_P[:, column])["ece"][0]
        gaps = np.abs(found.share_K - found.p_yes_K) @ found.rows_K / found.rows_K.sum()
        assert gaps == pytest.approx(expected)


def test_what_was_not_graded_has_no_diagram():
    made = made_judgements(20)
    logits_S_P = made.logits_S_P.copy()
    logits_S_P[:, 0] = np.nan
    assert set(reliability(made.with_logits(logits_S_P))) == {"proposition_1", "proposition_2"}
