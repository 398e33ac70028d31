from __future__ import annotations

from dataclasses import replace

import pytest

from models.errors import UnfittedWeights
from models.reward import check_fitted, require_fitted
from tests.models.examples import IDENTITY, SMALL, small_policy, weights_for

POLICY = small_policy()
WEIGHTS = weights_for(POLICY)


def test_weights_belong_to_the_policy_and_grader_they_were_fitted_to():
    assert check_fitted(WEIGHTS, POLICY, IDENTITY) == []
    require_fitted(WEIGHTS, POLICY, IDENTITY)


def test_another_grader_is_another_fit():
    assert check_fitted(WEIGHTS, POLICY, "other:2") == [f"fitted to the grader {IDENTITY}, but the grader is other:2"]


@pytest.mark.parametrize(
    "edit",
    [
        ("{rude: ", "{long: "),
        ("Is it rude?", "Is it impolite?"),
        ("[rude, wrong, long]", "[rude, wrong]"),
    ],
)
def test_changed_rules_questions_or_features_are_another_fit(edit: tuple[str, str]):
    problems = check_fitted(WEIGHTS, small_policy(SMALL.replace(*edit)), IDENTITY)
    assert any("changed since the fit" in problem for problem in problems)


def test_adding_a_content_category_invalidates_nothing():
    categories = 'content_categories:\n  spam: {prompt: "Is it spam?", response_type: comply}\n'
    assert check_fitted(WEIGHTS, small_policy(SMALL + categories), IDENTITY) == []


def test_features_and_response_types_have_to_match_in_both_directions():
    extra = replace(WEIGHTS, values={"comply": {**WEIGHTS.values["comply"], "shiny": 1.0}})
    assert "features that the policy has not: shiny" in check_fitted(extra, POLICY, IDENTITY)[0]
    lacking = replace(WEIGHTS, values={}, offsets={}, rules_fingerprints={})
    assert check_fitted(lacking, POLICY, IDENTITY) == ["response type comply: has no weights"]
    sparse = replace(WEIGHTS, values={"comply": {"rude": 1.0}})
    assert check_fitted(sparse, POLICY, IDENTITY) == []


def test_the_refusal_lists_everything_and_the_command_that_refits():
    weights = replace(WEIGHTS, rules_fingerprints={"comply": "old"})
    with pytest.raises(UnfittedWeights) as caught:
        require_fitted(
            weights, POLICY, "b", policy_where="my policy.yaml", grader_spec="embedded", weights_where="w.json"
        )
    assert "fitted to the grader" in str(caught.value)
    assert "response type comply: its propositions, rules or features changed" in str(caught.value)
    assert "rbr fit COMPARISONS --policy 'my policy.yaml' --grader embedded --out w.json" in str(caught.value)
