"""A cascade of two graders: the first answers what it is sure of, the second the rest."""

from grader.backends.cascade.backend import CascadeBackend
from grader.backends.cascade.thresholds import Bounds, Thresholds, read_thresholds, write_thresholds

__all__ = ["Bounds", "CascadeBackend", "Thresholds", "read_thresholds", "write_thresholds"]
