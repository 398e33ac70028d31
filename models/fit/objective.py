"""The fitted objective: a hinge on ranked pairs, with the base reward inside.

    f(w) = mean_k max(0, m_k + R_b - R_a) + l2/2 |w|^2 + l1 |w|_1,      R = base + w . phi

over pairs k of completions a > b of one prompt (Mu et al. 2024). Knows no solver and no policy: a pair is its margin,
its base rewards' difference and its features' difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.errors import FitError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HingeProblem:
    """``differences_K_F`` is phi_a - phi_b; ``targets_K`` is m - (base_a - base_b), what w . difference has to reach.

    ``l2`` and ``l1`` are >= 0. Raising either shrinks the weights; l1 makes them sparse. With both 0 the optimum is not
    unique, because class probabilities sum to 1.
    """

    differences_K_F: Array
    targets_K: Array
    l2: float = 0.0
    l1: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.differences_K_F).all() and np.isfinite(self.targets_K).all()):
            raise FitError("features, margins and base rewards of the comparisons have to be finite")
        if not (0 <= self.l2 < np.inf and 0 <= self.l1 < np.inf):
            raise FitError(f"l2 and l1 have to be finite and at least 0, got {self.l2} and {self.l1}")

    @cached_property
    def pairs(self) -> int:
        return len(self.targets_K)

    def hinge(self, w_F: Array) -> float:
        """The mean hinge alone, in units of reward."""
        return float(np.maximum(self.targets_K - self.differences_K_F @ w_F, 0.0).mean())

    def objective(self, w_F: Array) -> float:
        return self.hinge(w_F) + self.l2 / 2 * float(w_F @ w_F) + self.l1 * float(np.abs(w_F).sum())

    def lower_bound(self, alpha_K: Array, radius: float) -> float:
        """The Lagrangian's minimum over w for multipliers ``alpha_K`` in [0, 1/K]: no w has less.

        alpha . targets + min_w (l2/2 |w|^2 + l1 |w|_1 - w . g) with g = sum_k alpha_k difference_k, over the box
        |w_j| <= ``radius``. Without the box, l2 = 0 and any |g_j| > l1 (rounding is enough) would make it -infinity.
        """
        slope_F = np.maximum(np.abs(self.differences_K_F.T @ alpha_K) - self.l1, 0.0)
        size_F = np.minimum(slope_F / self.l2, radius) if self.l2 else np.full_like(slope_F, radius)
        return float(alpha_K @ self.targets_K - (slope_F * size_F - self.l2 / 2 * size_F**2).sum())
