"""An experiment: two graders, or two versions of a policy's questions, judged on the same labelled rows.

This is how a question is tuned: change it in a copy of the policy, and let labels decide whether the change is one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grader.evaluate.gold import GoldGrades
from models.errors import EvaluationError
from models.evaluate import Comparison, Resampling, compare


@dataclass(frozen=True)
class Experiment:
    """``alike``: both gave the very same answers, as graders do that ignore what was changed."""

    comparison: Comparison
    against_grader: str
    against_policy: str
    alike: bool


def run_experiment(gold: GoldGrades, against: GoldGrades, *, resamples: int, seed: int) -> Experiment:
    """``gold`` minus ``against``, of the same rows. Raises `EvaluationError` where they have nothing in common."""
    first, second = gold.judgements, against.judgements
    names = [name for name in first.names if name in second.names]
    both_S_P = first.of(names).known_S_P & second.of(names).known_S_P
    if not both_S_P.any():
        raise EvaluationError(
            f"{gold.grader_identity} and {against.grader_identity} answered no labelled proposition of the same row; "
            "propositions are matched by name"
        )
    resampling = Resampling(first.group_S, resamples, seed)
    answers, others = (each.of(names).logits_S_P[both_S_P] for each in (first, second))
    return Experiment(
        compare(first, second, resampling),
        against.grader_identity,
        against.policy,
        bool(np.array_equal(answers, others)),
    )
