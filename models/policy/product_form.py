"""The paper's class probabilities: the product of a class's literals, normalised over the classes (Mu et al. 2024).

Kept as an option for comparison with the paper. It is not exact: propositions that a rule reaches twice, directly and
through a derived proposition, are counted twice. `models.policy.diagrams` computes the exact form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models.policy.completion_classes import CompletionClass
from models.policy.evaluation import Floats
from models.policy.propositions import Condition, DerivedProposition

Number = TypeVar("Number", np.float64, np.complex128)

_STEP = 1e-100


@dataclass(frozen=True)
class ProductForm:
    """``products``: one a derived proposition, each after those it uses, then one a class. Each lists ``(factor,
    value)``: a column of the propositions, or ``propositions + k`` for the k-th product; false stands for 1 - p."""

    propositions: int
    classes: int
    products: tuple[tuple[tuple[int, bool], ...], ...]

    def probabilities(self, p_S_P: Floats) -> Floats:
        """S x C, rows sum to 1; a NaN among a row's factors makes the whole row NaN."""
        raw_S_C = self.raw(p_S_P)
        return np.asarray(raw_S_C / raw_S_C.sum(axis=1, keepdims=True))

    def gradients(self, p_S_P: Floats) -> Floats:
        """dP_c / dp_i (S x C x P) by complex steps, which lose no digits: the form is analytic in every p."""
        missing_S = np.asarray(np.isnan(p_S_P).any(axis=1))
        known_S_P = np.where(missing_S[:, None], 0.5, p_S_P).astype(np.complex128)
        gradient_S_C_P = np.empty((len(p_S_P), self.classes, self.propositions))
        for i in range(self.propositions):
            stepped_S_P = known_S_P.copy()
            stepped_S_P[:, i] += 1j * _STEP
            raw_S_C = self.raw(stepped_S_P)
            gradient_S_C_P[:, :, i] = (raw_S_C / raw_S_C.sum(axis=1, keepdims=True)).imag / _STEP
        gradient_S_C_P[missing_S] = np.nan
        return gradient_S_C_P

    def raw(self, p_S_P: NDArray[Number]) -> NDArray[Number]:
        """The products before they are normalised (S x C): a row's sum is anything above 0."""
        size = self.propositions + len(self.products)
        literal_L_S = np.empty((2 * size, len(p_S_P)), p_S_P.dtype)  # p of every factor, then 1 - p of every factor
        literal_L_S[: self.propositions] = p_S_P.T
        literal_L_S[size : size + self.propositions] = 1.0 - p_S_P.T
        for k, literals in enumerate(self._literals, start=self.propositions):
            np.prod(literal_L_S[literals], axis=0, out=literal_L_S[k])
            np.subtract(1.0, literal_L_S[k], out=literal_L_S[size + k])
        return literal_L_S[size - self.classes : size].T

    @cached_property
    def _literals(self) -> tuple[NDArray[np.intp], ...]:
        size = self.propositions + len(self.products)
        return tuple(
            np.array([factor if value else size + factor for factor, value in product], np.intp)
            for product in self.products
        )


def product_form(
    classes: Sequence[CompletionClass], derived: Sequence[DerivedProposition], variables: Sequence[str]
) -> ProductForm:
    """``derived`` comes sorted: a derived proposition after those it uses."""
    factors: Mapping[str, int] = {name: i for i, name in enumerate([*variables, *(each.name for each in derived)])}

    def literals(rule: tuple[Condition, ...]) -> tuple[tuple[int, bool], ...]:
        return tuple((factors[condition.proposition], condition.value) for condition in rule)

    rules = [each.rule for each in derived] + [each.rule for each in classes]
    return ProductForm(len(variables), len(classes), tuple(literals(rule) for rule in rules))
