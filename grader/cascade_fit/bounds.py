"""The widest bounds within which the first grader may answer alone, with a wanted agreement on rows not seen.

Rows are put in the order of the first grader's calibrated error, surest first, and answered by it from that end for as
long as few enough answers are wrong. How few follows from the noise of choosing: on the way along one fixed order, the
true rate of wrong answers at the place before wrong answer k + 1 exceeds a with probability P(Bin(n, a) <= k) (equality
where logits have no ties), because the true rates at the wrong answers are the order statistics of uniform draws. So
k is the largest for which the one-sided Clopper-Pearson bound of k in n rows is within 1 - agreement.

The order has two fitted numbers, a Platt line; cross-fitting (`held_out`) measures what that does.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from grader.backends.cascade.thresholds import Bounds
from models.evaluate.calibrating import platt

Among: TypeAlias = Literal["all", "answered"]
Vector: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]


def fit_bounds(logits_S: Vector, yes_S: Flags, *, agreement: float, confidence: float, among: Among = "all") -> Bounds:
    """Bounds that answer most rows while, with ``confidence``, the wanted share of new rows agrees with the second.

    ``logits_S``: of the first grader, NaN where it had none; ``yes_S``: what the second answered. ``among`` "all":
    agreement is of the cascade, over all rows, those that the second answers included; "answered": over those that the
    first answers, which is stricter, and for which the confidence is approximate. Where nothing holds, no bounds.
    """
    known_S = ~np.isnan(logits_S)
    logits_S, rows = logits_S[known_S], len(yes_S)
    said_yes_S = logits_S >= 0
    wrong_S = said_yes_S != yes_S[known_S]
    line = platt(yes_S[known_S], logits_S)
    sureness_S = np.where(said_yes_S, 1.0, -1.0) * (line.slope * logits_S + line.intercept)
    least = _least_sureness(sureness_S, wrong_S, rows, 1 - agreement, confidence, among)
    if least is None:
        return Bounds()
    alone_S = sureness_S >= least
    noes, yeses = logits_S[alone_S & ~said_yes_S], logits_S[alone_S & said_yes_S]
    return Bounds(float(noes.max()) if len(noes) else None, float(yeses.min()) if len(yeses) else None)


def held(logits_S: Vector, bounds: Bounds) -> Flags:
    """Which rows the first grader answers."""
    low = -np.inf if bounds.low is None else bounds.low
    high = np.inf if bounds.high is None else bounds.high
    held_S: Flags = ((logits_S <= low) | (logits_S >= high)) & np.isfinite(logits_S)
    return held_S


def worst_rate(wrong: NDArray[np.int_], rows: NDArray[np.int_], confidence: float) -> Vector:
    """The one-sided upper Clopper-Pearson bound of wrong answers, elementwise; 1 where all are wrong."""
    bound = np.ones(np.broadcast(wrong, rows).shape)
    some = wrong < rows
    bound[some] = beta.ppf(confidence, (wrong + 1)[some], (rows - wrong)[some])
    # A confidence near 0 would promise less wrong answers than were seen.
    return np.maximum(bound, wrong / np.maximum(rows, 1))


def rows_needed(agreement: float, confidence: float) -> int:
    """The fewest rows from which anything can be claimed: all of them right."""
    if agreement >= 1:
        raise ValueError("no number of rows shows an agreement of 1")
    if agreement <= 0 or confidence <= 0:
        return 1
    return int(np.ceil(np.log1p(-confidence) / np.log(agreement)))


def _least_sureness(
    sureness_S: Vector, wrong_S: Flags, rows: int, most_wrong: float, confidence: float, among: Among
) -> float | None:
    """The sureness down to which the first grader answers; rows of equal sureness go together."""
    if not len(sureness_S):
        return None
    order = np.argsort(-sureness_S, kind="stable")
    sorted_S, wrong_so_far_S = sureness_S[order], np.cumsum(wrong_S[order].astype(int))
    answered_S = np.arange(1, len(order) + 1)
    base_S = np.full(len(order), rows) if among == "all" else answered_S
    last_of_equals_S = np.append(sorted_S[1:] != sorted_S[:-1], True)
    allowed_S = last_of_equals_S & (worst_rate(wrong_so_far_S, base_S, confidence) <= most_wrong)
    places = np.flatnonzero(allowed_S)
    return float(sorted_S[places[-1]]) if len(places) else None
