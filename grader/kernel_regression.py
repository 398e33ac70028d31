"""Logistic regression on few rows, in the space of the rows: a fit takes milliseconds, whatever the number of features.

The weights of a ridge penalty lie in the span of the rows, w = X' a, so that only the Gram matrix X X' is needed. Each
fit also says what it would have said of every row without the row's group, at no cost. Knows no texts and no names.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_STEPS: Final = 40
_CONVERGED: Final = 1e-5
_LEAST_CURVATURE: Final = 1e-6
_SHORTEST_STEP: Final = 1e-3


class KernelFit(NamedTuple):
    """``without_S``: raw scores, offset included, from a fit that did not see the group of the row.

    Any other row with similarities k to these rows scores ``k . coefficients_S + bias`` + its own offset.
    """

    coefficients_S: Vector
    bias: float
    without_S: Vector


class _State(NamedTuple):
    coefficients_S: Vector
    smooth_S: Vector  # K a
    bias: float

    def towards(self, other: _State, step: float) -> _State:
        return _State(
            self.coefficients_S + step * (other.coefficients_S - self.coefficients_S),
            self.smooth_S + step * (other.smooth_S - self.smooth_S),
            self.bias + step * (other.bias - self.bias),
        )


def fit_kernel(
    gram_S_S: Matrix, p_yes_S: Vector, offset_S: Vector, group_S: NDArray[np.intp], inverse_penalty: float
) -> KernelFit:
    """Minimises the sum of cross-entropies + a' K a / (2 C) over a and a free bias, by damped Newton steps.

    ``p_yes_S``: labels or probabilities. ``offset_S`` is added to the score and not fitted. Left-out scores follow from
    the weighted least-squares problem of the last step by the leave-one-out formula, in blocks: exact to first order.
    """
    penalty = 1 / inverse_penalty

    def loss(state: _State) -> float:
        scores_S = state.smooth_S + state.bias + offset_S
        ridge = penalty * float(state.coefficients_S @ state.smooth_S) / 2
        return float(np.logaddexp(0, scores_S).sum() - p_yes_S @ scores_S) + ridge

    state = _State(np.zeros(len(p_yes_S)), np.zeros(len(p_yes_S)), 0.0)
    reached = loss(state)
    for _ in range(_STEPS):
        aim = _newton(gram_S_S, state, p_yes_S, offset_S, penalty)
        step = 1.0
        while (found := loss(tried := state.towards(aim, step))) > reached and step > _SHORTEST_STEP:
            step /= 2
        moved = float(np.abs(tried.smooth_S + tried.bias - state.smooth_S - state.bias).max())
        state, reached = tried, found
        if moved < _CONVERGED:
            break
    return KernelFit(
        state.coefficients_S, float(state.bias), _without(gram_S_S, state, p_yes_S, offset_S, penalty, group_S)
    )


def _newton(gram_S_S: Matrix, state: _State, p_yes_S: Vector, offset_S: Vector, penalty: float) -> _State:
    """Where the full step leads: the solution of the weighted least-squares problem at ``state``."""
    target_S, factor = _linearised(gram_S_S, state, p_yes_S, offset_S, penalty)
    solved_S_2 = cho_solve(factor, np.stack([target_S, np.ones_like(target_S)], axis=1), check_finite=False)
    bias = solved_S_2[:, 0].sum() / solved_S_2[:, 1].sum()
    coefficients_S = solved_S_2[:, 0] - bias * solved_S_2[:, 1]
    return _State(coefficients_S, gram_S_S @ coefficients_S, bias)


def _linearised(
    gram_S_S: Matrix, state: _State, p_yes_S: Vector, offset_S: Vector, penalty: float
) -> tuple[Vector, Any]:
    """What least squares should reach without the offset, and the factorised K + penalty / curvature."""
    smooth_S = state.smooth_S + state.bias
    p_S = 1 / (1 + np.exp(-np.clip(smooth_S + offset_S, -500, 500)))
    curvature_S = np.maximum(p_S * (1 - p_S), _LEAST_CURVATURE)
    system_S_S = gram_S_S.copy()
    system_S_S[np.diag_indices_from(system_S_S)] += penalty / curvature_S
    return smooth_S + (p_yes_S - p_S) / curvature_S, cho_factor(system_S_S, lower=True, check_finite=False)


def _without(
    gram_S_S: Matrix,
    state: _State,
    p_yes_S: Vector,
    offset_S: Vector,
    penalty: float,
    group_S: NDArray[np.intp],
) -> Vector:
    """target - residual, where the residuals e of a group left out solve Q e = a on its rows.

    Q is the inverse of the system with the bias projected out.
    """
    target_S, factor = _linearised(gram_S_S, state, p_yes_S, offset_S, penalty)
    inverse_S_S = cho_solve(factor, np.eye(len(target_S)), check_finite=False)
    sums_S = inverse_S_S.sum(axis=1)
    inverse_S_S -= np.outer(sums_S, sums_S) / sums_S.sum()
    coefficients_S = inverse_S_S @ target_S
    residual_S = coefficients_S / np.maximum(np.diag(inverse_S_S), np.finfo(float).tiny)
    for members in _shared(group_S):
        block = inverse_S_S[np.ix_(members, members)]
        residual_S[members] = np.linalg.lstsq(block, coefficients_S[members], rcond=None)[0]
    without_S: Vector = target_S - residual_S + offset_S
    return without_S


def _shared(group_S: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The rows of each group that has more than one."""
    order = np.argsort(group_S, kind="stable")
    starts = np.flatnonzero(np.diff(group_S[order])) + 1
    return [members for members in np.split(order, starts) if len(members) > 1]
