"""Fits many heads to few rows: each starts from a prior score, and they learn from each other.

1. Score = share x prior + correction: a share of what the shipped heads would say, and a ridge regression of the rest.
   The share is 0 or `SHARE`, whichever gives left-out rows the smaller cross-entropy.
2. Heads share: to each score is added a strongly penalised linear function of the (left-out) scores of all heads,
   because labels go together. Both steps are linear in the features, so that the result is one weight vector a head.

Knows no texts and no names.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from grader.kernel_regression import KernelFit, Matrix, Vector, fit_kernel

SHARE: Final = 0.4
_SHARING_PENALTY: Final = 100.0
_YES: Final = 0.5
_LEAST_SPREAD: Final = 1e-6


class Mixture(NamedTuple):
    """Scores of other rows: ``k @ coefficients_S_H + prior @ mix_H_H + bias_H``; k: their similarity to these rows."""

    coefficients_S_H: Matrix
    mix_H_H: Matrix
    bias_H: Vector


class _OwnFits(NamedTuple):
    """``mixture`` before sharing, with ``without_S_H``, its scores of rows that it did not see, and ``learned_H``."""

    mixture: Mixture
    without_S_H: Matrix
    learned_H: NDArray[np.bool_]


def fit_sharing(
    gram_S_S: Matrix, p_yes_S_H: Matrix, prior_S_H: Matrix, group_S: NDArray[np.intp], inverse_penalty: float
) -> Mixture:
    """Heads of one label say nothing of their own (score 0). ``p_yes_S_H``: NaN where not known."""
    own = _own_fits(gram_S_S, p_yes_S_H, prior_S_H, group_S, inverse_penalty)
    if own.learned_H.sum() < 2:  # noqa: PLR2004 - nobody to share with
        return own.mixture
    means_H = own.without_S_H.mean(axis=0)
    scales_H = own.learned_H / np.maximum(own.without_S_H.std(axis=0), _LEAST_SPREAD)
    inputs_S_H = (own.without_S_H - means_H) * scales_H
    similarity_S_S = inputs_S_H @ inputs_S_H.T
    exchange_H_H, shift_H = np.eye(len(means_H)), np.zeros(len(means_H))
    for head in np.flatnonzero(own.learned_H):
        known = np.flatnonzero(~np.isnan(p_yes_S_H[:, head]))
        fit = fit_kernel(
            similarity_S_S[np.ix_(known, known)],
            p_yes_S_H[known, head],
            own.without_S_H[known, head],
            group_S[known],
            1 / _SHARING_PENALTY,
        )
        slopes_H = scales_H * (inputs_S_H[known].T @ fit.coefficients_S)
        exchange_H_H[:, head] += slopes_H
        shift_H[head] = fit.bias - means_H @ slopes_H
    coefficients_S_H, mix_H_H, bias_H = own.mixture
    return Mixture(coefficients_S_H @ exchange_H_H, mix_H_H @ exchange_H_H, bias_H @ exchange_H_H + shift_H)


def _own_fits(
    gram_S_S: Matrix, p_yes_S_H: Matrix, prior_S_H: Matrix, group_S: NDArray[np.intp], inverse_penalty: float
) -> _OwnFits:
    rows, heads = p_yes_S_H.shape
    coefficients_S_H, without_S_H = np.zeros((rows, heads)), np.zeros((rows, heads))
    share_H, bias_H, learned_H = np.zeros(heads), np.zeros(heads), np.zeros(heads, dtype=bool)
    for head in range(heads):
        known = np.flatnonzero(~np.isnan(p_yes_S_H[:, head]))
        p_yes_K = p_yes_S_H[known, head]
        if not 0 < (p_yes_K >= _YES).sum() < len(known):
            continue
        learned_H[head] = True
        gram_K_K = gram_S_S[np.ix_(known, known)]
        share_H[head], fit = _best(gram_K_K, p_yes_K, prior_S_H[known, head], group_S[known], inverse_penalty)
        coefficients_S_H[known, head], bias_H[head] = fit.coefficients_S, fit.bias
        without_S_H[:, head] = gram_S_S[:, known] @ fit.coefficients_S + fit.bias + share_H[head] * prior_S_H[:, head]
        without_S_H[known, head] = fit.without_S
    return _OwnFits(Mixture(coefficients_S_H, np.diag(share_H), bias_H), without_S_H, learned_H)


def _best(
    gram_K_K: Matrix, p_yes_K: Vector, prior_K: Vector, group_K: NDArray[np.intp], inverse_penalty: float
) -> tuple[float, KernelFit]:
    shares = (SHARE, 0.0) if prior_K.any() else (0.0,)
    fits = [(share, fit_kernel(gram_K_K, p_yes_K, share * prior_K, group_K, inverse_penalty)) for share in shares]
    return min(fits, key=lambda found: _cross_entropy(found[1].without_S, p_yes_K))


def _cross_entropy(scores_K: Vector, p_yes_K: Vector) -> float:
    return float(np.mean(np.logaddexp(0, scores_K) - p_yes_K * scores_K))
