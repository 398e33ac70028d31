"""Minimises the hinge objective to its optimum, and certifies how near it is.

The problem is convex: a quadratic programme in (weights, slacks), handed to Clarabel's interior-point method. Its
answer is not taken on trust: the objective is evaluated here, and a lower bound comes from the multipliers made
feasible here.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import clarabel  # type: ignore[import-untyped]  # the wheel ships no type information
import numpy as np
from scipy import sparse

from models.errors import FitError
from models.fit.objective import Array, HingeProblem

_TOLERANCE: Final = 1e-10
_ACCEPTED: Final = ("Solved", "AlmostSolved")
_RADIUS_FACTOR: Final = 100.0
_ZERO: Final = 1e-8


class Solution(NamedTuple):
    """``gap``: objective minus a proven lower bound, in units of the objective.

    The bound is over every w with |w_j| up to 100 times the largest weight found (at least up to 100); by convexity it
    weakens beyond that only in proportion to the distance.
    """

    w_F: Array
    objective: float
    hinge: float
    gap: float


def solve(problem: HingeProblem) -> Solution:
    """The optimal weights of ``problem``; deterministic. `FitError` where there are no pairs or the solver fails."""
    if problem.pairs == 0:
        raise FitError("no ranked pairs: give at least two completions of one prompt with different labels")
    result = _run(problem)
    if str(result.status) not in _ACCEPTED:
        raise FitError(f"the solver stopped with {result.status}; raise l2, or look for features of extreme scale")
    features = problem.differences_K_F.shape[1]
    w_F = _snapped(np.asarray(result.x, dtype=np.float64)[:features])
    alpha_K = np.asarray(result.z, dtype=np.float64)[: problem.pairs]
    objective = problem.objective(w_F)
    radius = _RADIUS_FACTOR * max(1.0, float(np.abs(w_F).max(initial=0.0)))
    bound = max(problem.lower_bound(candidate_K, radius) for candidate_K in _feasible(problem, alpha_K))
    return Solution(w_F, objective, problem.hinge(w_F), max(0.0, objective - max(bound, 0.0)))


def _run(problem: HingeProblem) -> clarabel.DefaultSolution:
    """minimise 1/K sum(slack) + l2/2 |w|^2 + l1 sum(size) over (w, slack, size); ``size`` >= |w| only where l1 > 0."""
    pairs, features = problem.differences_K_F.shape
    sizes = features if problem.l1 else 0
    identity_K, identity_F = sparse.identity(pairs), sparse.identity(features)
    rows: list[list[Any]] = [
        [sparse.csc_matrix(-problem.differences_K_F), -identity_K],  # slack >= target - w . difference
        [None, -identity_K],  # slack >= 0
    ]
    if sizes:
        rows = [[*row, None] for row in rows]
        rows += [[identity_F, None, -identity_F], [-identity_F, None, -identity_F]]
    constraints = sparse.block_array(rows, format="csc")
    limits = np.concatenate([-problem.targets_K, np.zeros(pairs + 2 * sizes)])
    quadratic = sparse.diags_array(
        np.concatenate([np.full(features, problem.l2), np.zeros(pairs + sizes)]), format="csc"
    )
    linear = np.concatenate([np.zeros(features), np.full(pairs, 1 / pairs), np.full(sizes, problem.l1)])
    cones = [clarabel.NonnegativeConeT(len(limits))]
    return clarabel.DefaultSolver(quadratic, linear, constraints, limits, cones, _settings()).solve()


def _settings() -> clarabel.DefaultSettings:
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.direct_solve_method = "qdldl"  # one thread: two runs agree bit for bit
    settings.max_threads = 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = _TOLERANCE
    return settings


def _snapped(w_F: Array) -> Array:
    """An interior point leaves 1e-13 where the optimum is 0; only an exact 0 spares the grading of a proposition."""
    return np.where(np.abs(w_F) <= _ZERO * max(1.0, float(np.abs(w_F).max(initial=0.0))), 0.0, w_F)


def _feasible(problem: HingeProblem, alpha_K: Array) -> list[Array]:
    """Multipliers in [0, 1/K] near the solver's: clipped, and moved to bring sum(alpha difference) into [-l1, l1]."""
    ceiling = 1 / problem.pairs
    clipped_K = np.clip(alpha_K, 0.0, ceiling)
    candidates = [clipped_K]
    gradient_F = problem.differences_K_F.T @ clipped_K
    steepest = float(np.abs(gradient_F).max(initial=0.0))
    if problem.l1 and steepest > problem.l1:
        candidates.append(clipped_K * (problem.l1 / steepest))
    excess_F = gradient_F - np.clip(gradient_F, -problem.l1, problem.l1)
    room_K = np.minimum(clipped_K, ceiling - clipped_K)  # those at a bound cannot move
    scaled_K_F = problem.differences_K_F * room_K[:, None]
    step_F = np.linalg.lstsq(problem.differences_K_F.T @ scaled_K_F, excess_F, rcond=None)[0]
    candidates.append(np.clip(clipped_K - scaled_K_F @ step_F, 0.0, ceiling))
    return candidates
