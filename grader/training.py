"""Fits linear heads to labelled texts: a logistic regression for each, grouped cross-validation, Platt calibration.

Needs scikit-learn (extra ``distill``), which serving never imports. Knows nothing of rows or files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from grader.backends.embedded.features import RELATIONS, FeatureSettings, Floats, Text, features
from grader.backends.embedded.heads import LOGIT_LIMIT, Heads, standardise
from grader.errors import BackendSpecError

_ROWS_AT_ONCE: Final = 256
_LEAST_SPREAD: Final = 1e-3
_LEAST_SLOPE: Final = 0.05
_UNSURE: Final = 0.02
_YES: Final = 0.5
_NEWTON_STEPS: Final = 50
_CONVERGED: Final = 1e-8

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Examples:
    """``p_yes_S_H``: truth of each head for each text, NaN where not known.

    Texts of one group stay in one fold; groups named ``family/...`` do so with their whole family.
    """

    names: tuple[str, ...]
    texts: Sequence[Text]
    groups: Sequence[str]
    p_yes_S_H: NDArray[np.float64]


class HeadScore(NamedTuple):
    """Held-out figures of one head; ``auroc`` is None where only one label occurs (then the head is constant)."""

    rows: int
    positives: int
    auroc: float | None
    accuracy: float


def fit_heads(
    examples: Examples, settings: FeatureSettings, *, seed: int, folds: int, inverse_penalty: float
) -> tuple[Heads, dict[str, HeadScore]]:
    """Heads on all examples, calibrated on scores that each example got from heads that did not see its group."""
    require_sklearn()
    rows_S_D, means_R, spreads_R = _matrix(examples.texts, settings)
    fold_S = _folds(examples.groups, seed, folds)
    fit = partial(_fit_head, rows_S_D, fold_S, folds, inverse_penalty)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        fitted = list(pool.map(fit, examples.p_yes_S_H.T))
    heads = Heads(
        examples.names,
        settings,
        np.stack([head.weights_D for head in fitted], axis=1).astype(np.float32),
        np.array([head.slope for head in fitted], np.float32),
        np.array([head.intercept for head in fitted], np.float32),
        means_R=means_R,
        spreads_R=spreads_R,
    )
    return heads, {name: head.score for name, head in zip(examples.names, fitted, strict=True)}


def _folds(groups: Sequence[str], seed: int, folds: int) -> NDArray[np.intp]:
    """Whole families dealt out in an order that depends on the seed alone."""

    def drawn(family: str) -> tuple[int, str]:
        return crc32(f"{seed}/{family}".encode("utf-8", "surrogatepass")), family

    families = [group.partition("/")[0] for group in groups]
    place = {family: index % folds for index, family in enumerate(sorted(set(families), key=drawn))}
    return np.array([place[family] for family in families], dtype=np.intp)


def require_sklearn() -> None:
    try:
        import sklearn  # type: ignore[import-untyped]  # noqa: F401, PLC0415 - only asked for; serving must not need it
    except ImportError as error:
        raise BackendSpecError("training heads needs scikit-learn: pip install 'rbr-service[distill]'") from error


class _FittedHead(NamedTuple):
    weights_D: Vector
    slope: float
    intercept: float
    score: HeadScore


def _matrix(texts: Sequence[Text], settings: FeatureSettings) -> tuple[Any, Floats, Floats]:
    """Sparse feature rows with standardised relations, and what they were standardised by."""
    blocks, relations = [], []
    for start in range(0, len(texts), _ROWS_AT_ONCE):
        rows_S_D = features(texts[start : start + _ROWS_AT_ONCE], settings)
        blocks.append(sparse.csr_matrix(rows_S_D[:, : settings.hashed_width], dtype=np.float64))
        relations.append(rows_S_D[:, settings.hashed_width :])
    if not settings.relations:
        return sparse.vstack(blocks).tocsr(), np.zeros(len(RELATIONS), np.float32), np.ones(len(RELATIONS), np.float32)
    relations_S_R = np.concatenate(relations)
    means_R = relations_S_R.mean(axis=0, dtype=np.float64).astype(np.float32)
    spreads_R = np.maximum(relations_S_R.std(axis=0, dtype=np.float64), _LEAST_SPREAD).astype(np.float32)
    standardise(relations_S_R, means_R, spreads_R)
    return (
        sparse.hstack([sparse.vstack(blocks), sparse.csr_matrix(relations_S_R, dtype=np.float64)]).tocsr(),
        means_R,
        spreads_R,
    )


def _fit_head(rows_S_D: Any, fold_S: NDArray[Any], folds: int, inverse_penalty: float, p_yes_S: Vector) -> _FittedHead:
    known = np.flatnonzero(~np.isnan(p_yes_S))
    rows_S_D, fold_S, p_yes_S = rows_S_D[known], fold_S[known], p_yes_S[known]
    truth_S = p_yes_S >= _YES
    positives = int(truth_S.sum())
    if positives in {0, len(truth_S)}:
        return _constant(rows_S_D.shape[1], p_yes_S)
    regress = partial(_regression, inverse_penalty)
    held_out_S = _held_out(regress, rows_S_D, p_yes_S, fold_S, folds)
    slope, intercept = _platt(held_out_S, p_yes_S)
    weights_D, bias = regress(rows_S_D, p_yes_S)
    p_held_out_S = slope * held_out_S + intercept
    accuracy = float(np.mean((p_held_out_S >= 0) == truth_S))
    score = HeadScore(len(truth_S), positives, _auroc(truth_S, held_out_S), accuracy)
    return _FittedHead(weights_D, slope, slope * bias + intercept, score)


def _constant(width: int, p_yes_S: Vector) -> _FittedHead:
    """The base rate, smoothed by one row of each label; with no row at all, 0.5."""
    p_yes = (p_yes_S.sum() + 1) / (len(p_yes_S) + 2)
    logit = float(np.clip(np.log(p_yes / (1 - p_yes)), -LOGIT_LIMIT, LOGIT_LIMIT))
    return _FittedHead(np.zeros(width), 1.0, logit, HeadScore(len(p_yes_S), int(p_yes_S.sum()), None, 1.0))


def _held_out(
    regress: Callable[[Any, Vector], tuple[Vector, float]],
    rows_S_D: Any,
    p_yes_S: Vector,
    fold_S: NDArray[Any],
    folds: int,
) -> Vector:
    scores_S = np.zeros(len(p_yes_S))
    for fold in range(folds):
        inside = fold_S == fold
        seen = p_yes_S[~inside] >= _YES
        if inside.any() and 0 < seen.sum() < len(seen):
            weights_D, bias = regress(rows_S_D[~inside], p_yes_S[~inside])
            scores_S[inside] = rows_S_D[inside] @ weights_D + bias
    return scores_S


def _regression(inverse_penalty: float, rows_S_D: Any, p_yes_S: Vector) -> tuple[Vector, float]:
    """A row of P(yes) = p is a positive of weight p and a negative of weight 1 - p."""
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # noqa: PLC0415 - extra `distill`

    soft = (p_yes_S > _UNSURE) & (p_yes_S < 1 - _UNSURE)
    truth_S, weights_S = p_yes_S >= _YES, np.where(soft, np.maximum(p_yes_S, 1 - p_yes_S), 1.0)
    if soft.any():
        rows_S_D = sparse.vstack([rows_S_D, rows_S_D[np.flatnonzero(soft)]]).tocsr()
        truth_S = np.concatenate([truth_S, ~truth_S[soft]])
        weights_S = np.concatenate([weights_S, 1 - weights_S[soft]])
    model = LogisticRegression(C=inverse_penalty, solver="liblinear", tol=1e-2, max_iter=200)
    model.fit(rows_S_D, truth_S, sample_weight=weights_S)
    return model.coef_[0], float(model.intercept_[0])


def _platt(scores_S: Vector, p_yes_S: Vector) -> tuple[float, float]:
    """Slope and intercept of the logit on held-out scores, by Newton steps with a little shrinkage to (1, 0)."""
    slope, intercept = 1.0, 0.0
    inputs_S_2 = np.stack([scores_S, np.ones_like(scores_S)], axis=1)
    for _ in range(_NEWTON_STEPS):
        p_S = 1 / (1 + np.exp(-np.clip(slope * scores_S + intercept, -30, 30)))
        gradient = inputs_S_2.T @ (p_S - p_yes_S) + np.array([slope - 1, intercept])
        curvature = inputs_S_2.T @ (inputs_S_2 * (p_S * (1 - p_S))[:, None]) + np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        slope, intercept = slope - step[0], intercept - step[1]
        if np.abs(step).max() < _CONVERGED:
            break
    return max(float(slope), _LEAST_SLOPE), float(intercept)


def _auroc(truth_S: NDArray[np.bool_], scores_S: Vector) -> float:
    from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]  # noqa: PLC0415 - extra `distill`

    return float(roc_auc_score(truth_S, scores_S))
