"""Thresholds of every proposition, and the figures that say what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from grader.backends.cascade.thresholds import RECORDED, Fitted, Thresholds, bound_to
from grader.cascade_fit.bounds import Among, fit_bounds, held
from grader.cascade_fit.held_out import Fit, HeldOut, Interval, bootstrap, cross_fit, judged
from grader.cascade_fit.rows import Labelled
from grader.held_out import deal_folds
from models.errors import RowError

DEFAULT_FOLDS: Final = 10


class Goal(NamedTuple):
    """``agreement`` wanted on new rows and the ``confidence`` with which; raising either leaves the first less to
    answer. ``among``: see `fit_bounds`.
    """

    agreement: float = 0.98
    confidence: float = 0.9
    among: Among = "all"

    def check(self) -> None:
        for name, value in (("agreement", self.agreement), ("confidence", self.confidence)):
            if not 0 < value < 1:
                raise RowError(f"{name}: expected a share between 0 and 1, got {value}", name)

    def fit(self) -> Fit:
        return partial(fit_bounds, agreement=self.agreement, confidence=self.confidence, among=self.among)


@dataclass(frozen=True)
class CascadeReport:
    """``held_out``: by proposition, on rows that the thresholds judged there had not been fitted to."""

    goal: Goal
    thresholds: Thresholds
    labelled: Sequence[Labelled]
    held_out: Sequence[HeldOut]

    @property
    def share(self) -> float:
        """Mean over propositions of the share that never reaches the second grader, held out."""
        return float(np.mean([one.share for one in self.held_out]))

    @property
    def agreement(self) -> float:
        return float(np.mean([one.agreement for one in self.held_out]))

    @cached_property
    def share_interval(self) -> Interval:
        return self._interval(lambda one: one.alone_S)

    @cached_property
    def agreement_interval(self) -> Interval:
        return self._interval(lambda one: ~one.wrong_S)

    @property
    def answered_agreement(self) -> float | None:
        """Over all rows of all propositions that the first grader answers."""
        answered = sum(int(one.alone_S.sum()) for one in self.held_out)
        return 1 - sum(int(one.wrong_S.sum()) for one in self.held_out) / answered if answered else None

    @property
    def below(self) -> tuple[str, ...]:
        """Propositions whose held-out agreement, by the goal's definition, is less than was wanted."""
        return tuple(
            label.proposition.name
            for label, one in zip(self.labelled, self.held_out, strict=True)
            if _agreement(one, self.goal.among) < self.goal.agreement
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "first": self.thresholds.first,
            "second": self.thresholds.second,
            "goal": self.goal._asdict(),
            "held_out": {
                "share": _rounded(self.share),
                "share_interval": [_rounded(end) for end in self.share_interval],
                "agreement": _rounded(self.agreement),
                "agreement_interval": [_rounded(end) for end in self.agreement_interval],
                "answered_agreement": _rounded(self.answered_agreement),
                "below": list(self.below),
            },
            "propositions": {
                label.proposition.name: self._figures(label, one)
                for label, one in zip(self.labelled, self.held_out, strict=True)
            },
        }

    def _figures(self, label: Labelled, one: HeldOut) -> dict[str, Any]:
        fitted = self.thresholds.propositions[label.proposition.name]
        return {
            "rows": fitted.rows,
            "positives": int(label.yes_S.sum()),
            "low": fitted.bounds.low,
            "high": fitted.bounds.high,
            "share": _rounded(fitted.share),
            "agreement": _rounded(fitted.agreement),
            "held_out": {
                "share": _rounded(one.share),
                "agreement": _rounded(one.agreement),
                "agreement_interval": [_rounded(end) for end in one.agreement_interval],
                "answered_agreement": _rounded(one.answered_agreement),
                "missed_yes": _rounded(one.missed_yes),
            },
        }

    def _interval(self, flags: Callable[[HeldOut], NDArray[np.bool_]]) -> Interval:
        names = sorted({group for label in self.labelled for group in label.groups})
        places = {name: place for place, name in enumerate(names)}
        groups = [np.array([places[name] for name in label.groups], dtype=np.intp) for label in self.labelled]
        return bootstrap(list(zip(map(flags, self.held_out), groups, strict=True)), len(names))


def fit_thresholds(
    labelled: Sequence[Labelled],
    first: str,
    second: str = RECORDED,
    goal: Goal | None = None,
    *,
    folds: int = DEFAULT_FOLDS,
    seed: int = 0,
) -> CascadeReport:
    """Thresholds on all rows, measured by fitting them on folds. ``first`` and ``second``: the graders' identities.

    Raises `RowError` for a goal that is no share.
    """
    goal = goal or Goal()
    goal.check()
    fit = goal.fit()
    held_out = [
        cross_fit(label.logits_S, label.yes_S, deal_folds(label.groups, seed, _possible(folds, label.groups)), fit)
        for label in labelled
    ]
    fitted = {label.proposition.name: _fitted(label, one, fit) for label, one in zip(labelled, held_out, strict=True)}
    thresholds = Thresholds(first, second, goal.agreement, goal.confidence, fitted)
    return CascadeReport(goal, thresholds, labelled, held_out)


def _fitted(label: Labelled, held_out: HeldOut, fit: Fit) -> Fitted:
    bounds = fit(label.logits_S, label.yes_S)
    seen = judged(label.logits_S, label.yes_S, held(label.logits_S, bounds))
    return Fitted(
        bound_to(label.proposition),
        bounds,
        len(label.yes_S),
        seen.share,
        seen.agreement,
        held_out.share,
        held_out.agreement,
    )


def _agreement(one: HeldOut, among: Among) -> float:
    if among == "all":
        return one.agreement
    return 1.0 if one.answered_agreement is None else one.answered_agreement


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 4)


def _possible(folds: int, groups: Sequence[str]) -> int:
    """As many folds as wanted, or one a prompt: a proposition that few rows know must not stop the others."""
    return max(2, min(folds, len(set(groups))))
