from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.errors import PolicyError
from models.policy.policy import CombinationSpec
from models.reward import Parts, create_combination

_finite = st.floats(-1e6, 1e6)


@given(arrays(np.float64, 5, elements=_finite), arrays(np.float64, 5, elements=_finite))
def test_components_of_the_sum_add_up_to_the_reward(base_S: np.ndarray, rbr_S: np.ndarray):
    rule = create_combination(CombinationSpec())
    reward_S, components = rule.combine(Parts(base_S, rbr_S))
    assert tuple(components) == rule.components == ("base", "rules")
    np.testing.assert_array_equal(sum(components.values()), reward_S)
    np.testing.assert_array_equal(reward_S, base_S + rbr_S)


def test_a_sample_without_a_base_reward_has_base_zero():
    reward_S, components = create_combination(CombinationSpec()).combine(Parts(np.array([np.nan]), np.array([2.0])))
    assert reward_S.tolist() == [2.0]
    assert components["base"].tolist() == [0.0]


def test_an_unknown_rule_lists_those_that_exist():
    with pytest.raises(PolicyError, match=r"combination.rule: unknown rule 'best'; there are sum") as caught:
        create_combination(CombinationSpec("best"))
    assert caught.value.problems[0].path == "combination.rule"


def test_a_parameter_that_the_rule_has_not_is_refused():
    with pytest.raises(PolicyError, match=r"combination\.scale: sum has no parameters"):
        create_combination(CombinationSpec("sum", {"scale": 2.0}))
