"""From labelled comparisons to weights that are provably the best ones."""

from models.fit.comparisons import Comparisons, Pairs, build_comparisons, ranked_pairs
from models.fit.fitting import FitReport, Margin, error_rate, fit_weights
from models.fit.objective import HingeProblem
from models.fit.solver import Solution, solve

__all__ = [
    "Comparisons",
    "FitReport",
    "HingeProblem",
    "Margin",
    "Pairs",
    "Solution",
    "build_comparisons",
    "error_rate",
    "fit_weights",
    "ranked_pairs",
    "solve",
]
