"""The row that the corpus is made of: a labelled completion in the gold form.

The completion class is computed from the truths by the rules of the packaged policy, so labels cannot contradict it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any, Final

import numpy as np

from grader.corpus.prompts import CATEGORIES, response_type_of
from models.policy import Policy, load_policy

POLICY: Final = "safety"


def make_row(
    group: str, category: str, prompt: Sequence[dict[str, str]], completion: str, true: AbstractSet[str]
) -> dict[str, Any]:
    """``true``: the propositions that hold, all others being false. ``category`` "none": an ordinary prompt.

    Raises ValueError for a name that is no proposition of the policy, KeyError for an unknown category.
    """
    names = proposition_names()
    if unknown := true - set(names):
        raise ValueError(f"{group}: no propositions of the policy {POLICY}: {', '.join(sorted(unknown))}")
    response_type = response_type_of(category)
    propositions = {name: name in true for name in names}
    return {
        "group": group,
        "category": category,
        "response_type": response_type,
        "label": completion_class(response_type, propositions),
        "prompt": list(prompt),
        "completion": [{"role": "assistant", "content": completion}],
        "propositions": propositions,
        "categories": {name: name == category for name in CATEGORIES},
    }


def completion_class(response_type: str, propositions: Mapping[str, bool]) -> str:
    """The one class of the policy `safety` that holds under these truths."""
    diagram = _policy().response_types[response_type].diagram
    truth_1_P = np.array([[propositions[name] for name in diagram.variables]])
    return diagram.classes[int(diagram.classify(truth_1_P)[0])]


@cache
def proposition_names() -> tuple[str, ...]:
    """Names of the propositions about completions, in the order of the policy."""
    return tuple(name for name, proposition in _policy().propositions.items() if proposition.subject == "completion")


def class_counts(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Rows by response type and class."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        by_class = counts.setdefault(row["response_type"], {})
        by_class[row["label"]] = by_class.get(row["label"], 0) + 1
    return counts


@cache
def _policy() -> Policy:
    return load_policy(POLICY)
