"""Fits when the first grader of a cascade is sure enough: from grades of the second, for a wanted agreement."""

from grader.cascade_fit.bounds import Among, fit_bounds, rows_needed
from grader.cascade_fit.report import CascadeReport, Goal, fit_thresholds
from grader.cascade_fit.rows import Labelled, distilled_logits, first_logits

__all__ = [
    "Among",
    "CascadeReport",
    "Goal",
    "Labelled",
    "distilled_logits",
    "first_logits",
    "fit_bounds",
    "fit_thresholds",
    "rows_needed",
]
