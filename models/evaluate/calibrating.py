"""Fits a calibration (Platt 1999) and decision thresholds to labels, and says what they gain on rows not fitted to.

`models.reward.calibration` stores and applies what is fitted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from models.evaluate.judgements import Array, Judgements, Truths
from models.evaluate.measures import measures
from models.reward.calibration import Calibration, Line

FOLDS: Final = 5
LEAST_SLOPE: Final = 0.05  # a slope of 0 or less would forget or reverse what the grader says
_LEAST_THRESHOLD: Final = 1e-6  # so that its logit is a number


class HeldOut(NamedTuple):
    """Figures of one proposition on rows that line and threshold were not fitted to, beside those before."""

    brier_before: float
    brier: float
    ece_before: float
    ece: float
    kappa_before: float
    kappa: float


@dataclass(frozen=True)
class CalibrationFit:
    """``calibration``: fitted to all rows; only propositions of which both labels occur have a line and a threshold.

    ``held_out``: by grouped cross-validation.
    """

    calibration: Calibration
    held_out: Mapping[str, HeldOut]


def fit_calibration(
    judgements: Judgements, grader_identity: str, *, seed: int = 0, folds: int = FOLDS
) -> CalibrationFit:
    """A line and a threshold for each proposition of which both labels occur. Deterministic per seed."""
    fold_S = _folds(judgements.group_S, seed, folds)
    lines, thresholds, held_out = {}, {}, {}
    for column, name in enumerate(judgements.names):
        known_S = judgements.known_S_P[:, column]
        truth_S = judgements.truth_S_P[known_S, column] > 0
        if truth_S.all() or not truth_S.any():
            continue
        logits_S = judgements.logits_S_P[known_S, column]
        lines[name] = platt(truth_S, logits_S)
        crossed_S = _crossed(truth_S, logits_S, fold_S[known_S])
        thresholds[name] = threshold(crossed_S)
        held_out[name] = _held_out(truth_S, logits_S, crossed_S, fold_S[known_S])
    return CalibrationFit(Calibration(lines, grader_identity, thresholds), held_out)


def platt(truth_S: Truths, logits_S: Array) -> Line:
    """The line of maximal likelihood, with a unit normal prior around the identity, so that a handful of positives
    cannot make the grader certain. The slope is at least `LEAST_SLOPE`.
    """

    def loss(line: Array) -> tuple[float, Array]:
        slope, intercept = line
        calibrated_S = slope * logits_S + intercept
        value = np.sum(np.logaddexp(0.0, calibrated_S) - truth_S * calibrated_S)
        surplus_S = expit(calibrated_S) - truth_S
        gradient = np.array([surplus_S @ logits_S + slope - 1, surplus_S.sum() + intercept])
        return float(value + ((slope - 1) ** 2 + intercept**2) / 2), gradient

    found = minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(LEAST_SLOPE, None), (None, None)]
    )
    return Line(float(found.x[0]), float(found.x[1]))


def threshold(calibrated_S: Array) -> float:
    """P(yes) from which on to say yes for the highest kappa to be expected, if the calibrated logits are right.

    Not accuracy, which for a rare proposition is highest where nothing is ever yes; and not the kappa that the labels
    themselves give, because a few positives then decide, and on other rows that is worse.
    """
    p_S = np.sort(expit(calibrated_S))[::-1]
    rows, positive, yes_S, both_S = len(p_S), p_S.sum(), np.arange(1, len(p_S) + 1), np.cumsum(p_S)
    accuracy_S = (rows - positive - yes_S + 2 * both_S) / rows
    chance_S = (positive * yes_S + (rows - positive) * (rows - yes_S)) / rows**2
    last = int(np.argmax((accuracy_S - chance_S) / np.maximum(1 - chance_S, _LEAST_THRESHOLD)))
    cut = (p_S[last] + p_S[min(last + 1, rows - 1)]) / 2
    return float(np.clip(cut, _LEAST_THRESHOLD, 1 - _LEAST_THRESHOLD))


def _folds(group_S: NDArray[np.intp], seed: int, folds: int) -> NDArray[np.intp]:
    groups = int(group_S.max()) + 1 if len(group_S) else 0
    return np.random.default_rng(seed).permutation(groups)[group_S] % folds


def _crossed(truth_S: Truths, logits_S: Array, fold_S: NDArray[np.intp]) -> Array:
    """Calibrated logits, each by a line fitted to the other folds."""
    crossed_S = np.empty(len(logits_S))
    for fold in np.unique(fold_S):
        inside_S = fold_S == fold
        line = platt(truth_S[~inside_S], logits_S[~inside_S])
        crossed_S[inside_S] = line.slope * logits_S[inside_S] + line.intercept
    return crossed_S


def _held_out(truth_S: Truths, logits_S: Array, crossed_S: Array, fold_S: NDArray[np.intp]) -> HeldOut:
    shifted_S = np.empty(len(crossed_S))
    for fold in np.unique(fold_S):
        inside_S = fold_S == fold
        cut = logit(threshold(crossed_S[~inside_S])) if not inside_S.all() else 0.0
        shifted_S[inside_S] = crossed_S[inside_S] - cut  # so that yes begins at 0
    before, after, decided = (measures(truth_S, each_S) for each_S in (logits_S, crossed_S, shifted_S))
    figures = [before["brier"], after["brier"], before["ece"], after["ece"], before["kappa"], decided["kappa"]]
    return HeldOut(*(float(each[0]) for each in figures))
