"""Calibration of a grader: per proposition, a straight line on the logit (Platt 1999).

Corrects a grader that is too sure or leans to one answer, before any probability is formed. Knows how to apply and
store the lines, not how to fit them (`models.evaluate.calibrating`). Propositions without a line are left as they are.

    {"format": 1, "grader_identity": "...", "propositions": {"apology": {"slope": 0.8, "intercept": -0.3}}}

A proposition may carry a ``threshold`` as well: the calibrated P(yes) from which on somebody who needs a plain answer
should take it for a yes. No reward depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.digests import fingerprint
from models.reward.documents import Node, read_document, write_document

FORMAT: Final = 1


class Line(NamedTuple):
    """calibrated logit = slope * logit + intercept."""

    slope: float = 1.0
    intercept: float = 0.0


class LineColumns(NamedTuple):
    """The lines of several propositions side by side."""

    slope_P: NDArray[np.float64]
    intercept_P: NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """``lines`` by proposition name; empty is the identity. ``grader_identity``: whose logits they were fitted on.

    ``thresholds`` on the calibrated P(yes), by proposition name; not part of the ``fingerprint``, which is of what can
    change a reward.
    """

    lines: Mapping[str, Line] = field(default_factory=dict)
    grader_identity: str = ""
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(
            "calibration", self.grader_identity, {name: tuple(line) for name, line in self.lines.items()}
        )

    def columns(self, names: Sequence[str]) -> LineColumns | None:
        """The lines of ``names`` as arrays; None where every one is the identity."""
        lines = [self.lines.get(name, Line()) for name in names]
        if all(line == Line() for line in lines):
            return None
        return LineColumns(np.array([line.slope for line in lines]), np.array([line.intercept for line in lines]))

    def apply(self, logits_S_P: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
        """Calibrated logits, columns ``names``; NaN (not graded) stays NaN."""
        lines = self.columns(names)
        return logits_S_P if lines is None else logits_S_P * lines.slope_P + lines.intercept_P


def read_calibration(path: str | Path) -> Calibration:
    """Reads a calibration file; `WeightsError` names the key and the remedy."""
    document = read_document(path).fields("format", "grader_identity", "propositions")
    document["format"].expect_format(FORMAT)
    lines, thresholds = {}, {}
    for name, node in document["propositions"].entries().items():
        fields = node.fields("slope", "intercept", optional=("threshold",))
        lines[name] = Line(fields["slope"].number(), fields["intercept"].number())
        if "threshold" in fields:
            thresholds[name] = _probability(fields["threshold"])
    return Calibration(lines, document["grader_identity"].text(), thresholds)


def write_calibration(calibration: Calibration, path: str | Path) -> None:
    """Writes the file that `read_calibration` reads. A threshold stands beside its line, and needs one."""
    lines: dict[str, dict[str, float]] = {name: line._asdict() for name, line in calibration.lines.items()}
    for name, threshold in calibration.thresholds.items():
        lines[name]["threshold"] = threshold
    write_document(path, {"format": FORMAT, "grader_identity": calibration.grader_identity, "propositions": lines})


def _probability(node: Node) -> float:
    number = node.number()
    if not 0 <= number <= 1:
        raise node.error(f"expected a probability, got {number}")
    return number
