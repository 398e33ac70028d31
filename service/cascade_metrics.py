"""Metrics of a cascade: who answered what, and whether audits find that the graders still agree.

The share that the first grader answers is the rate of ``rbr_cascade_grades_total{by="first"}`` over that of all; their
agreement is the share of ``outcome="agreed"`` among agreed and disagreed audits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from grader import events


class CascadeMetrics:
    """``handlers``: what to call for each event. Labels are names in the policy, so they are bounded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._answered = Counter(
            "rbr_cascade_grades", "Fresh grades by the grader that gave them.", ("proposition", "by"), registry=registry
        )
        self._audits = Counter(
            "rbr_cascade_audits",
            "Answers of the first grader that the second was asked too.",
            ("proposition", "outcome"),
            registry=registry,
        )
        self._dropped = Counter(
            "rbr_cascade_audits_dropped", "Answers not audited, because too many waited.", registry=registry
        )
        self.handlers: Mapping[type, Callable[[Any], None]] = {
            events.CascadeAnswered: self._count_answers,
            events.CascadeAudited: self._count_audit,
            events.CascadeAuditsDropped: lambda event: self._dropped.inc(event.grades),
        }

    def _count_answers(self, event: events.CascadeAnswered) -> None:
        self._answered.labels(event.proposition, "first" if event.by_first else "second").inc(event.grades)

    def _count_audit(self, event: events.CascadeAudited) -> None:
        outcome = {True: "agreed", False: "disagreed", None: "unanswered"}[event.agreed]
        self._audits.labels(event.proposition, outcome).inc()
