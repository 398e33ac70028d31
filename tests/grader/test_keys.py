from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.keys import FIELD_BYTES, Keys
from grader.tasks import GradeTask
from models.conversations import Message, ToolCall
from models.policy import Proposition, Template
from tests.grader.chain import PROPOSITIONS, TEMPLATE, task

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
messages = st.builds(
    Message, texts, texts, st.lists(st.builds(ToolCall, texts, texts, texts), max_size=2).map(tuple), texts
)
conversations = st.lists(messages, max_size=3).map(tuple)


@given(conversations, conversations)
def test_two_conversations_share_a_key_only_if_they_are_equal(
    first: tuple[Message, ...], second: tuple[Message, ...]
) -> None:
    keys = Keys("backend")
    one, other = (GradeTask(conversation, 0, TEMPLATE, PROPOSITIONS) for conversation in (first, second))
    assert (keys.key(one) == keys.key(other)) == (first == second)


def test_everything_but_the_propositions_changes_the_key() -> None:
    keys, base = Keys("backend"), task("text")
    others = [
        Keys("another").key(base),
        keys.key(task("other text")),
        keys.key(replace(base, completion_messages=2)),
        keys.key(replace(base, template=Template("another {question}"))),
    ]
    assert len({keys.key(base), *others}) == 5
    assert keys.key(replace(base, propositions=PROPOSITIONS[:1])) == keys.key(base)
    assert Keys("backend").key(base) == keys.key(base)


def test_a_field_follows_its_proposition_and_not_its_place() -> None:
    keys = Keys("backend")
    fields = keys.plan(PROPOSITIONS).fields
    assert {len(field) for field in fields} == {FIELD_BYTES}
    assert len(set(fields)) == len(PROPOSITIONS)
    assert keys.plan(PROPOSITIONS[::-1]).fields == fields[::-1]
    reworded = replace(PROPOSITIONS[0], question="Is it otherwise?")
    assert keys.plan((reworded,)).fields[0] != fields[0]


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_a_plan_takes_all_of_its_fields_or_says_that_one_is_missing(count: int) -> None:
    fields, take = Keys("backend").plan(PROPOSITIONS[:count])
    values = {field: index for index, field in enumerate(fields)}
    assert take(values) == tuple(range(count))
    if count:
        del values[fields[-1]]
        with pytest.raises(KeyError):
            take(values)


def test_plans_of_short_lived_tuples_are_never_mistaken_for_each_other() -> None:
    """An identity may be reused once its tuple is gone; far more tuples than are remembered are told apart."""
    keys = Keys("backend")
    for i in range(3000):
        proposition = Proposition(f"p{i}", "?")
        assert keys.plan((proposition,)).fields == (bytes.fromhex(proposition.fingerprint)[:FIELD_BYTES],)


def test_text_without_utf8_has_no_key() -> None:
    with pytest.raises(UnicodeEncodeError):
        Keys("backend").key(task("\ud800"))
