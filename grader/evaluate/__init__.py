"""How good is a grader? Labelled rows through the chain; the figures are those of `models.evaluate`."""

from grader.evaluate.experiments import Experiment, run_experiment
from grader.evaluate.gold import GoldGrades, grade_gold

__all__ = ["Experiment", "GoldGrades", "grade_gold", "run_experiment"]
