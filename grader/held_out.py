"""Folds that keep prompts together, and calibration (Platt 1999) on scores of rows that a head did not see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from models.errors import RowError

Vector = NDArray[np.float64]
Folds = NDArray[np.intp]

_LEAST_SLOPE: Final = 0.05
_NEWTON_STEPS: Final = 50
_CONVERGED: Final = 1e-8
_UNCHANGED: Final = np.array([1.0, 0.0])


def units(groups: Sequence[str], folds: int) -> list[str]:
    """What may not be parted, a name a row: families, of groups named ``family/...`` (the corpus names wordings so), or
    the groups themselves where there are fewer families than folds. Raises `RowError` where those are too few too.
    """
    families = [group.partition("/")[0] for group in groups]
    for names in (families, list(groups)):
        if len(set(names)) >= folds:
            return names
    raise RowError(
        f"group: {len(set(groups))} different prompts are too few for {folds} folds; give rows of at least {folds}",
        "group",
    )


def deal_folds(groups: Sequence[str], seed: int, folds: int) -> Folds:
    """Whole `units` dealt out in an order that depends on the seed alone."""

    def drawn(name: str) -> tuple[int, str]:
        return crc32(f"{seed}/{name}".encode("utf-8", "surrogatepass")), name

    names = units(groups, folds)
    place = {name: index % folds for index, name in enumerate(sorted(set(names), key=drawn))}
    return np.array([place[name] for name in names], dtype=np.intp)


def platt(scores_S: Vector, p_yes_S: Vector) -> tuple[float, float]:
    """Slope and intercept of the logit, by Newton steps with a little shrinkage to (1, 0): it tames few positives."""
    line_2 = np.array([1.0, 0.0])
    inputs_S_2 = np.stack([scores_S, np.ones_like(scores_S)], axis=1)

    def loss(line_2: Vector) -> float:
        logits_S = inputs_S_2 @ line_2
        return float(np.logaddexp(0, logits_S).sum() - p_yes_S @ logits_S + ((line_2 - _UNCHANGED) ** 2).sum() / 2)

    for _ in range(_NEWTON_STEPS):
        p_S = 1 / (1 + np.exp(-np.clip(inputs_S_2 @ line_2, -30, 30)))
        gradient_2 = inputs_S_2.T @ (p_S - p_yes_S) + line_2 - _UNCHANGED
        curvature_2_2 = inputs_S_2.T @ (inputs_S_2 * (p_S * (1 - p_S))[:, None]) + np.eye(2)
        step_2 = np.linalg.solve(curvature_2_2, gradient_2)
        while loss(line_2 - step_2) > loss(line_2) and np.abs(step_2).max() > _CONVERGED:
            step_2 = step_2 / 2
        line_2 = line_2 - step_2
        if np.abs(step_2).max() < _CONVERGED:
            break
    return max(float(line_2[0]), _LEAST_SLOPE), float(line_2[1])


def shift(scores_S: Vector, p_yes_S: Vector) -> float:
    """The intercept alone, shrunk to 0, for rows of one label: they cannot say whether the order is right."""

    def gradient(intercept: float) -> float:
        return float(np.sum(expit(scores_S + intercept) - p_yes_S)) + intercept

    return float(brentq(gradient, -len(scores_S), len(scores_S))) if len(scores_S) else 0.0


def calibrated_apart(scores_S: Vector, p_yes_S: Vector, fold_S: Folds) -> Vector:
    """Logits of held-out scores, those of each fold calibrated on the other folds alone."""
    logits_S = np.empty_like(scores_S)
    for fold in np.unique(fold_S):
        inside = fold_S == fold
        slope, intercept = platt(scores_S[~inside], p_yes_S[~inside])
        logits_S[inside] = slope * scores_S[inside] + intercept
    return logits_S
