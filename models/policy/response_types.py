"""Response types: how a kind of prompt should be answered, and how answers to it are judged."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from models.digests import fingerprint
from models.policy.completion_classes import CompletionClass
from models.policy.diagrams import Diagram
from models.policy.features import Feature


@dataclass(frozen=True)
class ResponseType:
    """``propositions``: everything that is graded for it, those of the rules first (``diagram.variables`` in order),
    then those that only features use. ``classes``: best first. ``rules_fingerprint``: what fitted weights bind to."""

    name: str
    propositions: tuple[str, ...]
    classes: tuple[CompletionClass, ...]
    features: tuple[Feature, ...]
    diagram: Diagram
    proposition_fingerprints: tuple[str, ...]
    rule_fingerprint: str

    @cached_property
    def rules_fingerprint(self) -> str:
        """Of propositions, rules and features; adding a content category elsewhere leaves it alone."""
        return fingerprint(
            "rules", self.proposition_fingerprints, self.rule_fingerprint, [tuple(f) for f in self.features]
        )


def normalise_name(name: str) -> str:
    """``Hard Refuse`` and ``hard_refuse`` are one response type."""
    return "_".join(name.strip().lower().replace("-", " ").replace("_", " ").split())
