from __future__ import annotations

import numpy as np

from models.reward import BaseNormaliser, base_scale_warning, missing_base
from tests.models.examples import small_policy, weights_for

PLAIN = weights_for(small_policy())
FITTED = weights_for(small_policy(), expects_base=True, base_normaliser=BaseNormaliser(1.0, 2.0))


def test_only_weights_fitted_with_a_base_reward_miss_one():
    base_S = np.array([1.0, np.nan])
    assert missing_base(FITTED, base_S).tolist() == [False, True]
    assert missing_base(PLAIN, base_S).tolist() == [False, False]


def test_a_base_reward_on_another_scale_warns():
    like_the_fit_S = 1.0 + 2.0 * np.random.default_rng(0).normal(size=64)
    assert base_scale_warning(FITTED, like_the_fit_S) is None
    assert "refit or rescale" in (base_scale_warning(FITTED, like_the_fit_S * 10) or "")
    assert "mean 101" in (base_scale_warning(FITTED, like_the_fit_S - like_the_fit_S.mean() + 101) or "")


def test_nothing_is_said_of_few_values_or_of_an_unknown_scale():
    assert base_scale_warning(FITTED, np.full(8, 1e6)) is None
    assert base_scale_warning(FITTED, np.full(64, np.nan)) is None
    assert base_scale_warning(PLAIN, np.full(64, 1e6)) is None
