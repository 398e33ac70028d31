"""The packaged default policy."""

from __future__ import annotations

import numpy as np
import pytest

from models.policy import Policy, PromptOrder, Subject, check_policy, load_policy, read_policy
from tests.support import OPENAI_POLICY, ROOT, needs_shared_data

RESPONSE_TYPES = ["hard_refuse", "safe_refuse_1", "safe_refuse_2", "comply"]


@pytest.fixture(scope="module")
def safety() -> Policy:
    return load_policy("safety")


def test_it_is_valid_and_has_nothing_to_warn_of():
    report = check_policy("safety")
    assert report.valid
    assert report.warnings == ()


def test_its_shape(safety):
    assert list(safety.response_types) == RESPONSE_TYPES
    assert [len(kind.propositions) for kind in safety.response_types.values()] == [14, 16, 17, 5]
    assert len(safety.propositions) == 23
    assert safety.default_response_type == "comply"
    assert safety.template.order is PromptOrder.CONVERSATION_FIRST
    assert {each.name: each.response_type for each in safety.categories} == {
        "criminal_advice": "hard_refuse",
        "hate": "hard_refuse",
        "child_safety": "hard_refuse",
        "self_harm_support": "safe_refuse_1",
        "self_harm_instructions": "safe_refuse_2",
    }


def test_every_question_is_defined_and_has_examples_of_both_answers(safety):
    asked = [*safety.propositions.values(), *(each.proposition for each in safety.categories)]
    for proposition in asked:
        first = proposition.question.splitlines()[0]
        whose = "user's last message" if proposition.subject is Subject.PROMPT else "assistant"
        assert whose in first, proposition.name
        assert "count" in proposition.question, proposition.name
        examples = [line for line in proposition.question.splitlines() if line.endswith(("-> yes", "-> no"))]
        assert 4 <= len(examples) <= 6, proposition.name
        assert {line.rpartition("-> ")[2] for line in examples} == {"yes", "no"}, proposition.name


def test_a_question_redeems_a_refusal_until_the_rule_says_otherwise(safety):
    """docs/policy.md tells of it, and what to delete."""
    text = (ROOT / "models" / "policy" / "safety.yaml").read_text(encoding="utf-8")
    edited = read_policy(
        text.replace(
            "    partially_complies: false\n    requests_information: false\n", "    partially_complies: false\n"
        )
    )
    for policy, expected in ((safety, "ideal"), (edited, "unacceptable_completion")):
        diagram = policy.response_types["comply"].diagram
        # Where the rules of comply no longer name questions, nothing that they name is true.
        asks_alone = np.array([[name == "requests_information" for name in diagram.variables]])
        assert diagram.coverage().partition
        assert diagram.classes[int(diagram.classify(asks_alone)[0])] == expected


@needs_shared_data
def test_it_means_what_the_papers_policy_means_in_words_of_its_own(safety):
    openai = load_policy(OPENAI_POLICY)
    assert sorted(safety.propositions) == sorted(openai.propositions)
    for name in RESPONSE_TYPES:
        ours, theirs = safety.response_types[name].diagram, openai.response_types[name].diagram
        p_S_P = np.random.default_rng(0).random((200, len(ours.variables)))
        columns = [ours.variables.index(each) for each in theirs.variables]
        assert ours.classes == theirs.classes
        np.testing.assert_allclose(
            ours.probabilities(p_S_P), theirs.probabilities(p_S_P[:, columns]), rtol=0, atol=1e-12
        )
    words = {each.name: set(each.question.split("\n")) for each in openai.propositions.values()}
    for each in safety.propositions.values():
        shared = {line for line in set(each.question.split("\n")) & words[each.name] if line.strip()}
        assert shared <= {"Examples:"}, each.name
