"""Completion classes: the mutually exclusive verdicts of a response type, ranked."""

from __future__ import annotations

from dataclasses import dataclass

from models.policy.propositions import Condition


@dataclass(frozen=True, slots=True)
class CompletionClass:
    """True where every condition of ``rule`` holds; ``rank`` 0 is best (``completion_class_order``)."""

    name: str
    rank: int
    rule: tuple[Condition, ...]
