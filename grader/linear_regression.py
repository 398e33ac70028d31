"""Logistic regression on many rows, in the space of the features, by scikit-learn (extra ``distill``).

Knows no texts and no names. `grader.kernel_regression` is for few rows.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from grader.errors import BackendSpecError

Vector = NDArray[np.float64]

_UNSURE: Final = 0.02
_YES: Final = 0.5
_PRIOR_SCALE: Final = 0.5


def require_sklearn() -> None:
    try:
        import sklearn  # type: ignore[import-untyped]  # noqa: F401, PLC0415 - only asked for; serving must not need it
    except ImportError as error:
        raise BackendSpecError("training heads needs scikit-learn: pip install 'rbr-service[distill]'") from error


def one_thread() -> AbstractContextManager[Any]:
    """Matrices here are small: threads of the linear algebra library would spend their time waiting for each other."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415 - scikit-learn needs it

    return threadpool_limits(limits=1, user_api="blas")  # type: ignore[no-any-return]


def fit_linear(
    rows_S_D: Any, p_yes_S: Vector, prior_S: Vector | None, inverse_penalty: float
) -> tuple[Vector, float, float]:
    """Weights of the features, of the prior score (0 without one) and the bias, under a ridge penalty.

    Many rows can tell how far the prior is to be trusted, so that it is one more feature, of a lighter penalty.
    """
    if prior_S is None:
        weights_D, bias = _regression(inverse_penalty, rows_S_D, p_yes_S)
        return weights_D, 0.0, bias
    column_S_1 = sparse.csr_matrix(_PRIOR_SCALE * prior_S[:, None])
    weights_D, bias = _regression(inverse_penalty, sparse.hstack([rows_S_D, column_S_1]).tocsr(), p_yes_S)
    return weights_D[:-1], _PRIOR_SCALE * float(weights_D[-1]), bias


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
