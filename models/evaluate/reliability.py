"""Reliability: among rows that got about this P(yes), how many are yes? What a calibration plot shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit

from models.evaluate.judgements import Array, Judgements
from models.evaluate.measures import BINS, bin_of

_Z: Final = 1.959963984540054  # of a 95% interval


@dataclass(frozen=True)
class Reliability:
    """One entry a bin that has rows (K): mean P(yes), share of yes, its 95% interval (Wilson 1927), and rows."""

    p_yes_K: Array
    share_K: Array
    low_K: Array
    high_K: Array
    rows_K: Array


def reliability(judgements: Judgements) -> Mapping[str, Reliability]:
    """Of each proposition that has rows, in the bins of the expected calibration error."""
    known_S_P = judgements.known_S_P
    return {
        name: _reliability(judgements.truth_S_P[known_S, column], expit(judgements.logits_S_P[known_S, column]))
        for column, name in enumerate(judgements.names)
        if (known_S := known_S_P[:, column]).any()
    }


def _reliability(truth_S: Array, p_S: Array) -> Reliability:
    bin_S = bin_of(p_S)
    sums_3_K = np.stack([np.bincount(bin_S, weights, BINS) for weights in (np.ones(len(p_S)), p_S, truth_S)])
    rows_K, p_K, yes_K = sums_3_K[:, sums_3_K[0] > 0]
    p_K, share_K = p_K / rows_K, yes_K / rows_K
    centre_K = (share_K + _Z**2 / (2 * rows_K)) / (1 + _Z**2 / rows_K)
    half_K = _Z / (1 + _Z**2 / rows_K) * np.sqrt(share_K * (1 - share_K) / rows_K + _Z**2 / (4 * rows_K**2))
    return Reliability(p_K, share_K, np.maximum(centre_K - half_K, 0), np.minimum(centre_K + half_K, 1), rows_K)
