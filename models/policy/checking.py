"""Checks a policy file and reports: what ``rbr policy check`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from models.errors import PolicyError
from models.policy.diagrams import Diagram
from models.policy.reading import examine_policy
from models.policy.sources import read_source

_MAX_JSON_INTEGER = 2**63 - 1  # many JSON libraries read no larger one


@dataclass(frozen=True)
class ResponseTypeReport:
    """``propositions`` reached by the rules; of the ``assignments`` of truth values to them, how many fall in several
    classes or none. ``counterexample`` is one such assignment, of every proposition, with the classes that hold."""

    propositions: int
    assignments: int
    overlaps: int
    gaps: int
    counterexample: Mapping[str, bool] | None = None
    counterexample_classes: tuple[str, ...] | None = None

    def to_json(self) -> dict[str, object]:
        report: dict[str, object] = {"propositions": self.propositions}
        for key, count in (("assignments", self.assignments), ("overlaps", self.overlaps), ("gaps", self.gaps)):
            report[key] = count if count <= _MAX_JSON_INTEGER else float(count)
        if self.counterexample is not None:
            report["counterexample"] = dict(self.counterexample)
            report["counterexample_classes"] = list(self.counterexample_classes or ())
        return report


@dataclass(frozen=True)
class PolicyReport:
    """``errors`` make a policy unusable, ``warnings`` do not. Response types whose rules cannot be read are absent."""

    response_types: Mapping[str, ResponseTypeReport] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        return not self.errors

    def to_json(self) -> dict[str, object]:
        return {
            "valid": self.valid,
            "response_types": {name: report.to_json() for name, report in self.response_types.items()},
            "errors": list(self.errors),
            "warnings": list(self.warnings),
        }


def check_policy(where: str | Path) -> PolicyReport:
    """Of a packaged policy or a file; never raises for a policy that is bad or not there."""
    try:
        source = read_source(where)
    except PolicyError as error:
        return PolicyReport(errors=(error.message,))
    found = examine_policy(source.text, source.name)
    warnings = [
        f"completion_classes.{each}.{name}: never holds, whatever is answered"
        for name, diagram in found.diagrams.items()
        for each in diagram.coverage().never
    ]
    return PolicyReport(
        response_types={name: _report(diagram) for name, diagram in found.diagrams.items()},
        errors=tuple(str(problem) for problem in found.problems.found),
        warnings=tuple(warnings),
    )


def _report(diagram: Diagram) -> ResponseTypeReport:
    coverage = diagram.coverage()
    example = coverage.overlap or coverage.gap
    return ResponseTypeReport(
        propositions=len(diagram.variables),
        assignments=coverage.assignments,
        overlaps=coverage.overlaps,
        gaps=coverage.gaps,
        counterexample=example.assignment if example else None,
        counterexample_classes=example.classes if example else None,
    )
