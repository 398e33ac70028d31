"""Answers of many samples as one array of logits, in the columns of their response type."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from grader.grades import Grade
from service.scoring.batches import Work
from service.scoring.plans import Plan

Array = NDArray[np.float64]

_LOGIT: Final = attrgetter("logit")


def whole_logits(plan: Plan, works: Sequence[Work]) -> Array | None:
    """None where a sample has an answer without a logit. NaN in the columns that were not asked."""
    answers = chain.from_iterable([work.answers for work in works])
    try:
        # No look at the type of each answer: only `Grade` has a logit, and there are hundreds of thousands a second.
        flat = np.fromiter(map(_LOGIT, answers), dtype=np.float64, count=len(works) * len(plan.names))
    except AttributeError:
        return None
    return _in_columns(plan, flat.reshape(len(works), len(plan.names)))


def partial_logits(plan: Plan, works: Sequence[Work]) -> Array:
    """NaN for answers without a logit as well."""
    nan = float("nan")
    rows = [[answer.logit if isinstance(answer, Grade) else nan for answer in work.answers] for work in works]
    return _in_columns(plan, np.array(rows, dtype=np.float64).reshape(len(works), len(plan.names)))


def _in_columns(plan: Plan, answers_S_A: Array) -> Array:
    if plan.columns_A is None:
        return answers_S_A
    logits_S_P = np.full((len(answers_S_A), len(plan.propositions)), np.nan)
    logits_S_P[:, plan.columns_A] = answers_S_A
    return logits_S_P
