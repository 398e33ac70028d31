"""What fitted bounds do on rows that they were not fitted to: whole prompts are held out, fold by fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from grader.backends.cascade.thresholds import Bounds
from grader.cascade_fit.bounds import Flags, Vector, held

Interval: TypeAlias = tuple[float, float]
Fit: TypeAlias = Callable[[Vector, Flags], Bounds]

_RESAMPLES: Final = 1000
_TAIL: Final = 0.025


@dataclass(frozen=True)
class HeldOut:
    """One proposition. Per row: ``alone_S`` answered by the first grader, ``wrong_S`` and not as the second did."""

    alone_S: Flags
    wrong_S: Flags
    yes_S: Flags

    @property
    def share(self) -> float:
        """Of the rows, answered by the first grader alone."""
        return float(self.alone_S.mean())

    @property
    def agreement(self) -> float:
        """Share of all rows on which the cascade answers as the second does."""
        return 1 - float(self.wrong_S.mean())

    @cached_property
    def agreement_interval(self) -> Interval:
        """95 %, Clopper-Pearson: also where every row agrees."""
        wrong, rows = int(self.wrong_S.sum()), len(self.wrong_S)
        most = 1.0 if wrong == rows else float(beta.ppf(1 - _TAIL, wrong + 1, rows - wrong))
        least = 0.0 if wrong == 0 else float(beta.ppf(_TAIL, wrong, rows - wrong + 1))
        return 1 - most, 1 - least

    @property
    def answered_agreement(self) -> float | None:
        """Agreement over the rows that the first grader answers; None where it answers none."""
        answered = int(self.alone_S.sum())
        return 1 - int(self.wrong_S.sum()) / answered if answered else None

    @property
    def missed_yes(self) -> float | None:
        """Share of the second's yes that became a no: what agreement over all rows hides where yes is rare."""
        yes = int(self.yes_S.sum())
        return int((self.wrong_S & self.yes_S).sum()) / yes if yes else None


def cross_fit(logits_S: Vector, yes_S: Flags, fold_S: NDArray[np.intp], fit: Fit) -> HeldOut:
    """Each fold judged by bounds that were fitted to the others."""
    alone_S = np.zeros(len(yes_S), dtype=np.bool_)
    for fold in np.unique(fold_S):
        inside_S = fold_S == fold
        alone_S[inside_S] = held(logits_S[inside_S], fit(logits_S[~inside_S], yes_S[~inside_S]))
    return judged(logits_S, yes_S, alone_S)


def judged(logits_S: Vector, yes_S: Flags, alone_S: Flags) -> HeldOut:
    return HeldOut(alone_S, alone_S & ((logits_S >= 0) != yes_S), yes_S)


def bootstrap(columns: Sequence[tuple[NDArray[np.bool_], NDArray[np.intp]]], groups: int, seed: int = 0) -> Interval:
    """95 % interval of the mean over propositions of the share of true flags, over resampled groups.

    Each column: flags of a proposition's rows, and the group that each row belongs to, below ``groups``.
    """
    sums_P_G = np.stack([np.bincount(group_S, flag_S, minlength=groups) for flag_S, group_S in columns])
    rows_P_G = np.stack([np.bincount(group_S, minlength=groups) for _, group_S in columns])
    draws_R_G = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=_RESAMPLES)
    share_R_P = (draws_R_G @ sums_P_G.T) / np.maximum(draws_R_G @ rows_P_G.T, 1)
    low, high = np.quantile(share_R_P.mean(axis=1), [_TAIL, 1 - _TAIL])
    return float(low), float(high)
