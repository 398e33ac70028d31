from __future__ import annotations

import json

import pytest

from models.policy import check_policy
from tests.models.policy.examples import SMALL
from tests.support import OPENAI_POLICY, needs_shared_data


@pytest.fixture
def check(tmp_path):
    def run(text: str):
        path = tmp_path / "policy.yaml"
        path.write_text(text, encoding="utf-8")
        return check_policy(path)

    return run


@needs_shared_data
def test_openais_policy_is_a_partition():
    report = check_policy(OPENAI_POLICY).to_json()
    counts = {
        name: (each["propositions"], each["assignments"], each["overlaps"], each["gaps"])
        for name, each in report["response_types"].items()
    }
    assert counts == {
        "hard_refuse": (14, 16_384, 0, 0),
        "safe_refuse_1": (16, 65_536, 0, 0),
        "safe_refuse_2": (17, 131_072, 0, 0),
        "comply": (5, 32, 0, 0),
    }
    assert report["valid"] is True
    assert report["errors"] == []


@needs_shared_data
@pytest.mark.parametrize(
    ("old", "new", "overlaps", "gaps"),
    [
        ("      acceptable_refusal: false\n", "", 512, 0),
        ("      acceptable_refusal: true\n", "      acceptable_refusal: true\n      third_person: true\n", 0, 255),
    ],
    ids=["overlap", "gap"],
)
def test_a_copy_of_openais_policy_with_one_condition_changed_is_refuted(check, old, new, overlaps, gaps):
    """The other response types are still counted, and the assignment printed really shows it."""
    text = OPENAI_POLICY.read_text(encoding="utf-8")
    assert old in text
    report = check(text.replace(old, new, 1))
    assert not report.valid
    assert list(report.response_types) == ["hard_refuse", "safe_refuse_1", "safe_refuse_2", "comply"]
    hard = report.response_types["hard_refuse"]
    assert (hard.overlaps, hard.gaps) == (overlaps, gaps)
    assert len(hard.counterexample) == 14
    assert report.response_types["comply"].counterexample is None
    (error,) = report.errors
    assert "hard_refuse" in error
    assert "apology is true, inability_to_comply is true" in error


def test_a_counterexample_and_its_classes_are_in_the_report(check):
    report = check(SMALL.replace("Chat Reply: {pleasant: false}", "Chat Reply: {long: true}"))
    assert report.to_json()["response_types"]["chat_reply"] == {
        "propositions": 3,
        "assignments": 8,
        "overlaps": 1,
        "gaps": 3,
        "counterexample": {"polite": True, "shouting": False, "long": True},
        "counterexample_classes": ["good", "bad"],
    }
    assert len(report.errors) == 2


def test_problems_elsewhere_do_not_hide_the_counts(check):
    report = check(SMALL + "version: 1.5")
    assert not report.valid
    assert report.response_types["chat_reply"].assignments == 4


def test_a_response_type_with_a_broken_rule_is_left_out(check):
    text = SMALL.replace("  good:\n", "  good:\n    other: {polite: maybe}\n")
    report = check(text.replace("  bad:\n", "  bad:\n    other: {polite: false}\n"))
    assert list(report.response_types) == ["chat_reply"]
    assert report.errors == ("completion_classes.good.other.polite: expected true or false, found 'maybe' (line 6)",)


def test_a_class_that_never_holds_is_a_warning(check):
    text = SMALL.replace("[good, bad]", "[good, bad, odd]").replace(
        "derived_propositions:", "  odd:\n    Chat Reply: {pleasant: true, polite: false}\nderived_propositions:"
    )
    report = check(text)
    assert report.valid
    assert report.warnings == ("completion_classes.odd.chat_reply: never holds, whatever is answered",)


def test_a_policy_that_is_not_there_is_reported_not_raised():
    report = check_policy("no-such-policy").to_json()
    assert report["valid"] is False
    assert report["response_types"] == {}
    assert "no-such-policy is neither a file nor a packaged policy" in report["errors"][0]


def test_counts_too_large_for_most_json_readers_are_given_as_floats(check):
    names = [f"p{i}" for i in range(200)]
    text = (
        "prompt_template: '{question} {response}'\ncompletion_class_order: [good, bad]\n"
        f"derived_propositions: {{every: {{{', '.join(f'{name}: true' for name in names)}}}}}\n"
        "completion_classes: {good: {chat: {every: true}}, bad: {chat: {every: false}}}\n"
        f"simple_propositions: {{{', '.join(f'{name}: {{prompt: x}}' for name in names)}}}\n"
    )
    report = check(text)
    assert report.valid
    assert report.response_types["chat"].assignments == 2**200
    assert json.loads(json.dumps(report.to_json()))["response_types"]["chat"]["assignments"] == float(2**200)
