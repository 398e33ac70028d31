"""Regression in the space of the rows is that of scikit-learn, and its left-out scores are those of refits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from grader.kernel_regression import fit_kernel
from grader.linear_regression import fit_linear
from grader.sharing import SHARE, fit_sharing


@pytest.fixture
def problem():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(80, 200)) / 5
    truth = (rows @ rng.normal(size=200) + rng.normal(size=80) > 0).astype(float)
    return rows, truth, np.repeat(np.arange(40), 2)


def test_the_weights_minimise_the_penalised_cross_entropy(problem):
    """The gradient in the features vanishes: X'(y - p) = w / C, and the residuals sum to 0."""
    rows, truth, group = problem
    offset = rows[:, 0]
    fit = fit_kernel(rows @ rows.T, truth, offset, group, 0.7)
    weights = rows.T @ fit.coefficients_S
    residual = truth - 1 / (1 + np.exp(-(rows @ weights + fit.bias + offset)))
    np.testing.assert_allclose(rows.T @ residual, weights / 0.7, atol=1e-5)
    assert residual.sum() == pytest.approx(0, abs=1e-4)


def test_it_agrees_with_scikit_learn(problem):
    """Which penalises the bias a little and stops early."""
    pytest.importorskip("sklearn", reason="the extra `distill` is not installed")
    rows, truth, group = problem
    fit = fit_kernel(rows @ rows.T, truth, np.zeros(80), group, 1.0)
    weights, share, _ = fit_linear(sparse.csr_matrix(rows), truth, None, 1.0)
    assert share == 0
    assert np.corrcoef(weights, rows.T @ fit.coefficients_S)[0, 1] > 0.999


def test_scores_without_a_group_are_those_of_a_refit(problem):
    rows, truth, group = problem
    gram, offset = rows @ rows.T, rows[:, 1]
    fit = fit_kernel(gram, truth, offset, group, 1.0)
    for left_out in range(0, 40, 5):
        inside = group == left_out
        refit = fit_kernel(gram[np.ix_(~inside, ~inside)], truth[~inside], offset[~inside], group[~inside], 1.0)
        expected = gram[np.ix_(inside, ~inside)] @ refit.coefficients_S + refit.bias + offset[inside]
        np.testing.assert_allclose(fit.without_S[inside], expected, atol=0.15)


def test_separable_rows_without_much_penalty_still_converge():
    rows = np.array([[1.0], [2.0], [-1.0], [-2.0]])
    fit = fit_kernel(rows @ rows.T, np.array([1.0, 1, 0, 0]), np.array([0.0, 30, -30, 0]), np.arange(4), 1e4)
    assert np.isfinite(fit.coefficients_S).all()
    assert (rows.T @ fit.coefficients_S)[0] > 0


def test_a_head_learns_from_another_that_goes_with_it():
    """Two heads of the same truth, one of them known on few rows: it takes over what the other learned."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 60)) / 4
    truth = (rows @ rng.normal(size=60) > 0).astype(float)
    p_yes = np.stack([truth, np.where(np.arange(200) < 16, truth, np.nan)], axis=1)[:120]
    fitted = fit_sharing(rows[:120] @ rows[:120].T, p_yes, np.zeros((120, 2)), np.arange(120), 1.0)
    similarity = rows[120:] @ rows[:120].T
    shared = similarity @ fitted.coefficients_S_H[:, 1]
    alone = (
        similarity[:, :16]
        @ fit_kernel(rows[:16] @ rows[:16].T, truth[:16], np.zeros(16), np.arange(16), 1.0).coefficients_S
    )
    assert np.corrcoef(shared, truth[120:])[0, 1] > np.corrcoef(alone, truth[120:])[0, 1]


def test_a_helpful_prior_is_used_and_a_misleading_one_is_not(problem):
    rows, truth, group = problem
    gram = rows @ rows.T
    for sign, share in ((1, SHARE), (-1, 0.0)):
        prior = sign * (4 * truth - 2)[:, None]
        assert fit_sharing(gram, truth[:, None], prior, group, 1.0).mix_H_H[0, 0] == share
