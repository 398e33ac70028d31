"""Features: what the linear reward of a response type is a function of."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class FeatureKind(StrEnum):
    """What a feature is the probability of."""

    PROPOSITION = "proposition"
    CLASS = "class"


class Feature(NamedTuple):
    """The probability of a proposition or of a completion class; names are unique within a policy."""

    name: str
    kind: FeatureKind
