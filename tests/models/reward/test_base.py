from __future__ import annotations

import numpy as np

from models.reward import BaseNormaliser, base_scale_warning, mixed_base_warning
from tests.models.examples import small_policy, weights_for

PLAIN = weights_for(small_policy())
FITTED = weights_for(small_policy(), expects_base=True, base_normaliser=BaseNormaliser(1.0, 2.0))


def test_base_rewards_of_some_samples_alone_warn_and_more_so_within_a_group():
    apart = mixed_base_warning(PLAIN, [True, False, False], ["a", "b", "b"])
    within = mixed_base_warning(PLAIN, [True, False, False], ["a", "b", "a"])
    assert apart is not None
    assert within is not None
    assert "1 of 3 samples" in apart
    assert "groups" not in apart
    assert "cannot be compared: 1" in within


def test_all_none_or_required_base_rewards_warn_of_nothing():
    assert mixed_base_warning(PLAIN, [True, True], ["a", "a"]) is None
    assert mixed_base_warning(PLAIN, [False, False], ["a", "a"]) is None
    assert mixed_base_warning(FITTED, [True, False], ["a", "a"]) is None
    assert mixed_base_warning(PLAIN, [], []) is None


def test_a_base_reward_on_another_scale_warns():
    like_the_fit_S = 1.0 + 2.0 * np.random.default_rng(0).normal(size=64)
    assert base_scale_warning(FITTED, like_the_fit_S) is None
    assert "refit or rescale" in (base_scale_warning(FITTED, like_the_fit_S * 10) or "")
    assert "refit or rescale" in (base_scale_warning(FITTED, np.full(64, 1.5e308)) or "")
    assert "mean 101" in (base_scale_warning(FITTED, like_the_fit_S - like_the_fit_S.mean() + 101) or "")


def test_nothing_is_said_of_few_values_or_of_an_unknown_scale():
    assert base_scale_warning(FITTED, np.full(8, 1e6)) is None
    assert base_scale_warning(FITTED, np.full(64, np.nan)) is None
    assert base_scale_warning(PLAIN, np.full(64, 1e6)) is None
