"""When the first grader of a cascade is sure enough, proposition by proposition; and the file that says so.

    {"format": 1, "first": IDENTITY, "second": IDENTITY or "recorded", "agreement": 0.98, "confidence": 0.9,
     "propositions": {NAME: {"proposition": FINGERPRINT, "low": number | null, "high": number | null, "rows": n,
                             "share": x, "agreement": x, "held_out": {"share": x, "agreement": x}}}}

Knows how they are stored and applied; `grader.cascade_fit` finds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

from models.digests import fingerprint
from models.policy import Proposition
from models.reward.documents import Node, read_document, write_document

FORMAT: Final = 1
RECORDED: Final = "recorded"
_BOUND_CHARACTERS: Final = 16


class Bounds(NamedTuple):
    """The first grader's answer stands where its logit is <= ``low`` (a no) or >= ``high`` (a yes); None: never."""

    low: float | None = None
    high: float | None = None

    def hold(self, logit: float) -> bool:
        return (self.low is not None and logit <= self.low) or (self.high is not None and logit >= self.high)


class Fitted(NamedTuple):
    """The bounds of one proposition and what they were on ``rows`` labelled rows.

    ``share``: of the rows answered by the first grader. ``agreement``: share of all rows on which the cascade answers
    as the second grader does. The ``held_out_`` figures are of bounds that had not seen the rows they were applied to.
    ``proposition``: what was asked (`bound_to`), because another question under the same name has other answers.
    """

    proposition: str
    bounds: Bounds
    rows: int
    share: float
    agreement: float
    held_out_share: float
    held_out_agreement: float


@dataclass(frozen=True)
class Thresholds:
    """``first`` and ``second``: identities of the graders that were compared; ``second`` is "recorded" where the file
    of grades did not say. ``agreement``: what was wanted on new rows, held with ``confidence``.
    """

    first: str
    second: str
    agreement: float
    confidence: float
    propositions: Mapping[str, Fitted]

    @cached_property
    def digest(self) -> str:
        """Of what can change an answer; not of the figures."""
        return fingerprint(
            "cascade", {name: (fitted.proposition, *fitted.bounds) for name, fitted in self.propositions.items()}
        )

    def bounds(self, proposition: Proposition) -> Bounds | None:
        """None where nothing was fitted for this proposition as it is asked now."""
        fitted = self.propositions.get(proposition.name)
        return fitted.bounds if fitted is not None and fitted.proposition == bound_to(proposition) else None


def bound_to(proposition: Proposition) -> str:
    """What bounds are fitted to: changes with the question and whatever else can change the second's answer."""
    return proposition.fingerprint[:_BOUND_CHARACTERS]


def read_thresholds(path: str | Path) -> Thresholds:
    """Reads the file of `rbr distill --cascade`; `WeightsError` names the key and what is wrong with it."""
    document = read_document(path).fields("format", "first", "second", "agreement", "confidence", "propositions")
    document["format"].expect_format(FORMAT)
    return Thresholds(
        document["first"].text(),
        document["second"].text(),
        _share(document["agreement"]),
        _share(document["confidence"]),
        {name: _fitted(node) for name, node in document["propositions"].entries().items()},
    )


def write_thresholds(thresholds: Thresholds, path: str | Path) -> None:
    """Writes the file that `read_thresholds` reads."""
    write_document(
        path,
        {
            "format": FORMAT,
            "first": thresholds.first,
            "second": thresholds.second,
            "agreement": thresholds.agreement,
            "confidence": thresholds.confidence,
            "propositions": {name: _entry(fitted) for name, fitted in thresholds.propositions.items()},
        },
    )


def _entry(fitted: Fitted) -> dict[str, object]:
    return {
        "proposition": fitted.proposition,
        "low": fitted.bounds.low,
        "high": fitted.bounds.high,
        "rows": fitted.rows,
        "share": round(fitted.share, 4),
        "agreement": round(fitted.agreement, 4),
        "held_out": {"share": round(fitted.held_out_share, 4), "agreement": round(fitted.held_out_agreement, 4)},
    }


def _fitted(node: Node) -> Fitted:
    fields = node.fields("proposition", "low", "high", "rows", "share", "agreement", "held_out")
    held_out = fields["held_out"].fields("share", "agreement")
    low, high = _bound(fields["low"]), _bound(fields["high"])
    # The grade that is kept is the first grader's own: a bound on the wrong side of 0 would keep the opposite answer.
    if low is not None and low >= 0:
        raise fields["low"].error(f"expected a negative logit or null, got {low}; it bounds the answer no")
    if high is not None and high < 0:
        raise fields["high"].error(f"expected a logit of 0 or more, or null, got {high}; it bounds the answer yes")
    return Fitted(
        fields["proposition"].text(),
        Bounds(low, high),
        _count(fields["rows"]),
        _share(fields["share"]),
        _share(fields["agreement"]),
        _share(held_out["share"]),
        _share(held_out["agreement"]),
    )


def _bound(node: Node) -> float | None:
    return None if node.value is None else node.number()


def _count(node: Node) -> int:
    number = node.number()
    if number < 0 or number != int(number):
        raise node.error(f"expected a whole number of rows, got {number}")
    return int(number)


def _share(node: Node) -> float:
    number = node.number()
    if not 0 <= number <= 1:
        raise node.error(f"expected a share between 0 and 1, got {number}")
    return number
