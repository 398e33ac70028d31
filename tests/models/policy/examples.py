"""A small policy, ways to change it, and what reading it complains of."""

from __future__ import annotations

import pytest

from models.errors import PolicyError
from models.policy import Policy, read_policy

SMALL = """
prompt_template: "Asked: {question} Of: {response}"
completion_class_order: [good, bad]
completion_classes:
  good:
    Chat Reply: {pleasant: true}
  bad:
    Chat Reply: {pleasant: false}
derived_propositions:
  pleasant: {polite: true, shouting: false}
simple_propositions:
  polite: {prompt: 'Is it polite?'}
  shouting: {question: 'Is it shouting?', view: full, aggregation: any}
  long: {prompt: 'Is it long?'}
"""


def with_added(text: str) -> Policy:
    return read_policy(SMALL + text)


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        read_policy(text)
    return [str(problem) for problem in caught.value.problems]


def changed(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new)
