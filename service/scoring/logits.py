"""Answers of many samples as one array of logits, in the columns of their response type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from grader.grades import Grade
from service.scoring.batches import Work
from service.scoring.plans import Plan

Array = NDArray[np.float64]


def whole_logits(plan: Plan, works: Sequence[Work]) -> Array | None:
    """None where a sample has an answer without a logit. NaN in the columns that were not asked."""
    try:
        # No look at the type of each answer: only `Grade` has a logit, and there are hundreds of thousands a second.
        rows = [[answer.logit for answer in cast("Sequence[Grade]", work.answers)] for work in works]
    except AttributeError:
        return None
    return _in_columns(plan, rows)


def partial_logits(plan: Plan, works: Sequence[Work]) -> Array:
    """NaN for answers without a logit as well."""
    nan = float("nan")
    rows = [[answer.logit if isinstance(answer, Grade) else nan for answer in work.answers] for work in works]
    return _in_columns(plan, rows)


def _in_columns(plan: Plan, rows: list[list[float]]) -> Array:
    answers_S_A = np.array(rows, dtype=np.float64).reshape(len(rows), len(plan.names))
    if plan.columns_A is None:
        return answers_S_A
    logits_S_P = np.full((len(rows), len(plan.propositions)), np.nan)
    logits_S_P[:, plan.columns_A] = answers_S_A
    return logits_S_P
