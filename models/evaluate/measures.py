"""Measures of agreement between P(yes) and the truth, for many weightings of the same rows at once.

A weighting gives each row a count: ones for the figure itself, multiplicities for a bootstrap resample. Every measure
but AUROC is made of weighted sums, so that all resamples are one matrix product.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import rankdata

from models.evaluate.judgements import YES_LOGIT, Array, Truths

MEASURES: Final = ("auroc", "accuracy", "balanced_accuracy", "brier", "ece", "kappa")
NEEDS_BOTH_LABELS: Final = frozenset({"auroc", "balanced_accuracy", "kappa"})
BINS: Final = 10


def measures(truth_S: Truths, logits_S: Array, counts_B_S: Array | None = None) -> Mapping[str, Array]:
    """Every one of `MEASURES` -> its value for each weighting (B); NaN where it is undefined.

    ``auroc``: P(a positive row scores above a negative one), ties count half. ``balanced_accuracy``: mean of the shares
    of yes and of no that are right. ``brier``: mean squared error of P(yes). ``ece``: see `bin_of`. ``kappa``: Cohen's,
    (agreement - chance) / (1 - chance). `NEEDS_BOTH_LABELS` are undefined where a weighting has one label only.
    """
    if counts_B_S is None:
        counts_B_S = np.ones((1, len(truth_S)))
    p_S, yes_S = expit(logits_S), logits_S >= YES_LOGIT
    columns = [truth_S, yes_S, truth_S & yes_S, (p_S - truth_S) ** 2]
    sums_B_K = counts_B_S @ np.stack([np.ones(len(truth_S)), *columns], axis=1).astype(np.float64)
    rows_B, positive_B, yes_B, both_B, error_B = sums_B_K.T
    negative_B, neither_B = rows_B - positive_B, rows_B - positive_B - yes_B + both_B
    with np.errstate(divide="ignore", invalid="ignore"):
        accuracy_B = (both_B + neither_B) / rows_B
        chance_B = (positive_B * yes_B + negative_B * (rows_B - yes_B)) / rows_B**2
        found = {
            "auroc": _auroc(truth_S, logits_S, counts_B_S),
            "accuracy": accuracy_B,
            "balanced_accuracy": (both_B / positive_B + neither_B / negative_B) / 2,
            "brier": error_B / rows_B,
            "ece": _gaps(truth_S, p_S, counts_B_S) / rows_B,
            "kappa": (accuracy_B - chance_B) / (1 - chance_B),
        }
    one_label_B = (positive_B == 0) | (negative_B == 0)
    for name in NEEDS_BOTH_LABELS:
        found[name] = np.where(one_label_B, np.nan, found[name])
    return found


def bin_of(p_S: Array) -> NDArray[np.intp]:
    """The calibration bin of each P(yes): ten of equal width.

    The expected calibration error is the mean over rows of |share of yes - mean P(yes)| of their bin (Naeini et al.
    2015), on P(yes) itself, not on the confidence in whichever answer was given.
    """
    return np.minimum((p_S * BINS).astype(np.intp), BINS - 1)


def _auroc(truth_S: Truths, logits_S: Array, counts_B_S: Array) -> Array:
    """Weighted Mann-Whitney statistic. Ranks tell which rows tie; for weights of one it is the rank-sum formula."""
    order = np.argsort(logits_S, kind="stable")
    rank_S = rankdata(logits_S[order], method="min")
    starts = np.flatnonzero(np.diff(rank_S, prepend=0))
    counts_B_S, truth_S = counts_B_S[:, order], truth_S[order]
    positive_B_T = np.add.reduceat(counts_B_S * truth_S, starts, axis=1)  # T: distinct scores, ascending
    negative_B_T = np.add.reduceat(counts_B_S * ~truth_S, starts, axis=1)
    below_B_T = np.cumsum(negative_B_T, axis=1) - negative_B_T / 2
    won_B = np.einsum("bt,bt->b", positive_B_T, below_B_T)
    pairs_B = positive_B_T.sum(axis=1) * negative_B_T.sum(axis=1)
    auroc_B = np.full(len(won_B), np.nan)
    np.divide(won_B, pairs_B, out=auroc_B, where=pairs_B > 0)
    return auroc_B


def _gaps(truth_S: Truths, p_S: Array, counts_B_S: Array) -> Array:
    """Sum over bins of |yes - expected yes|, by weight."""
    surplus_S_K = np.zeros((len(p_S), BINS))
    surplus_S_K[np.arange(len(p_S)), bin_of(p_S)] = truth_S - p_S
    return np.asarray(np.abs(counts_B_S @ surplus_S_K).sum(axis=1), dtype=np.float64)
