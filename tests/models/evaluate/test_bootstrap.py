from __future__ import annotations

import numpy as np
import pytest

from models.evaluate import Resampling, number_groups
from models.evaluate.bootstrap import figure, mean_of_defined


def drawn(resampling: Resampling) -> np.ndarray:
    return np.concatenate(list(resampling.counts()))


def test_the_same_seed_draws_the_same():
    group_S = np.arange(20)
    one, same, other = (drawn(Resampling(group_S, 50, seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_rows_of_a_prompt_are_drawn_together_and_prompts_as_often_as_there_are():
    counts_B_S = drawn(Resampling(np.array([0, 0, 1, 2, 2, 2]), 40))
    assert counts_B_S.shape == (40, 6)
    np.testing.assert_array_equal(counts_B_S[:, 0], counts_B_S[:, 1])
    np.testing.assert_array_equal(counts_B_S[:, 3], counts_B_S[:, 5])
    assert set(counts_B_S[:, [0, 2, 3]].sum(axis=1)) == {3}


def test_large_files_come_in_blocks():
    blocks = list(Resampling(np.arange(900_000), 5).counts())
    assert [len(block) for block in blocks] == [2, 2, 1]


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    """Of prompts with one row each, and of prompts with four equal rows each, which are no more evidence."""
    values_G = np.random.default_rng(0).normal(size=400)
    half = 1.96 * values_G.std() / np.sqrt(400)
    for copies in (1, 4):
        values_S, group_S = np.repeat(values_G, copies), np.repeat(np.arange(400), copies)
        counts_B_S = drawn(Resampling(group_S, 4000))
        _, low, high = figure(values_S.mean(), counts_B_S @ values_S / len(values_S))
        assert (low, high) == pytest.approx((values_G.mean() - half, values_G.mean() + half), abs=0.05 * half)


def test_there_is_no_interval_where_many_resamples_are_undefined():
    defined_B = np.linspace(0, 1, 100)
    assert figure(0.5, defined_B) == pytest.approx((0.5, 0.025, 0.975))
    defined_B[:15] = np.nan
    assert figure(0.5, defined_B) == (0.5, None, None)
    assert figure(float("nan"), defined_B) == (None, None, None)


def test_the_mean_is_over_what_is_defined():
    values_P_B = np.array([[1.0, np.nan, np.nan], [0.0, 0.5, np.nan]])
    np.testing.assert_array_equal(mean_of_defined(values_P_B), [0.5, 0.5, np.nan])


def test_rows_without_a_group_stand_alone():
    assert number_groups(["a", None, "b", "a", None]).tolist() == [0, 1, 2, 0, 3]
