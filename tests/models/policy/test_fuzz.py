"""Whatever is given, reading ends in a policy or in a PolicyError that says what is wrong."""

from __future__ import annotations

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import PolicyError
from models.policy import read_policy
from tests.models.policy.examples import SMALL


def read_or_refuse(text: str) -> str:
    """The policy's fingerprint or the first problem."""
    try:
        return read_policy(text).fingerprint
    except PolicyError as error:
        return str(error.problems[0])


FRAGMENTS = st.sampled_from(
    [
        *SMALL.splitlines(keepends=True),
        "&a ",
        "*a",
        "<<: *a",
        "? ",
        "- ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "|\n",
        "'",
        '"',
        "!!x ",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.lists(st.one_of(FRAGMENTS, st.text(max_size=5)), max_size=30).map("".join)))
def test_whatever_text_is_given_there_is_a_policy_or_a_policy_error(text):
    assert read_or_refuse(text)


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["polite", "good"])
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["polite", "good", "rule", "x"]), inner)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        *("prompt_template", "completion_class_order", "completion_classes", "derived_propositions", "prompt_order"),
        *("simple_propositions", "name", "version", "content_categories", "default_response_type", "features"),
        *("combination", "on_unscorable", "response_type_confidence"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(KEYS, VALUES)
def test_whatever_value_a_key_has_there_is_a_policy_or_a_policy_error(key, value):
    document = yaml.safe_load(SMALL)
    document[key] = value
    assert read_or_refuse(yaml.safe_dump(document, allow_unicode=True))
