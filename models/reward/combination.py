"""How the base reward, the rules and costs become one number.

A rule is named by the policy (``combination: {rule: sum}``), has parameters, and returns the reward with components
that sum to it. Its component names are one fixed set, so that every reply of a policy has the same keys. A new rule is
a class with the members of `Combination` and a line in ``_RULES``. Knows arrays of numbers, not where they come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import PolicyError, Problem
from models.policy.policy import CombinationSpec

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Parts:
    """What can be combined, an entry a sample. NaN marks what a sample has not.

    ``base_S``: base reward; ``rbr_S``: rule-based reward, 0 where no rules apply. ``costs``: by name. ``classes``:
    P(completion class) by name.
    """

    base_S: Array
    rbr_S: Array
    costs: Mapping[str, Array] = field(default_factory=dict)
    classes: Mapping[str, Array] = field(default_factory=dict)


class Combined(NamedTuple):
    """``components`` sum to ``reward_S``; their names are `Combination.components`."""

    reward_S: Array
    components: Mapping[str, Array]


class Combination(Protocol):
    """A combination rule: pure, vectorised, and total (NaN in gives NaN out, never an error)."""

    @property
    def components(self) -> tuple[str, ...]:
        """The names of the components, in the order of the reply."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Completion classes whose probability it uses: what they depend on is graded even where no weight needs it."""

    @property
    def costs(self) -> tuple[str, ...]:
        """Named costs that a sample must bring."""

    def combine(self, parts: Parts) -> Combined: ...


class Sum:
    """R = base + rbr (Mu et al. 2024). A sample without a base reward has base 0."""

    components = ("base", "rules")
    classes: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()

    def combine(self, parts: Parts) -> Combined:
        base_S = np.where(np.isnan(parts.base_S), 0.0, parts.base_S)
        return Combined(base_S + parts.rbr_S, {"base": base_S, "rules": parts.rbr_S})


def _sum(parameters: Mapping[str, float]) -> Combination:
    if parameters:
        name = next(iter(parameters))
        raise _error(f"combination.{name}", "sum has no parameters; remove it")
    return Sum()


_RULES: Final[Mapping[str, Callable[[Mapping[str, float]], Combination]]] = {"sum": _sum}


def create_combination(spec: CombinationSpec) -> Combination:
    """The rule that a policy names; `PolicyError` where it does not exist or its parameters are wrong."""
    if spec.rule not in _RULES:
        raise _error("combination.rule", f"unknown rule {spec.rule!r}; there are {', '.join(_RULES)}")
    return _RULES[spec.rule](spec.parameters)


def _error(path: str, message: str) -> PolicyError:
    problem = Problem(path, message)
    return PolicyError(str(problem), (problem,))
