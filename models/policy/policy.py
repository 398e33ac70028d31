"""A policy: propositions, content categories, and per response type the rules that judge a completion.

Built by `models.policy.reading`; immutable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from models.digests import Part, fingerprint
from models.policy.propositions import Proposition
from models.policy.response_types import ResponseType


class PromptOrder(StrEnum):
    """Which comes first in a grader's prompt, and so which part is shared between propositions."""

    CONVERSATION_FIRST = "conversation_first"
    QUESTION_FIRST = "question_first"


@dataclass(frozen=True)
class Template:
    """The grader's prompt. ``text`` has the fields ``{question}`` and, optionally, ``{response}``."""

    text: str
    order: PromptOrder = PromptOrder.CONVERSATION_FIRST

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint("template", self.text, self.order)


@dataclass(frozen=True, slots=True)
class ContentCategory:
    """A kind of prompt. ``proposition`` asks whether a prompt is of it (subject ``prompt``)."""

    name: str
    proposition: Proposition
    response_type: str


@dataclass(frozen=True)
class CombinationSpec:
    """``combination:`` of the policy file: the rule's name and its parameters."""

    rule: str = "sum"
    parameters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OnUnscorable:
    """What a sample with an unscorable proposition gets: ``null`` (default), ``value`` (see it) or ``drop_group``."""

    action: str = "null"
    value: float | None = None


@dataclass(frozen=True)
class Policy:
    """``response_types`` and ``propositions`` are keyed by name, in file order.

    ``default_response_type``: for prompts that no category claims; None means that such prompts get no rule term.
    ``response_type_confidence``: an inferred response type less sure than this makes the sample unscorable
    (``ambiguous_response_type``); 0.5 never does.
    """

    name: str
    version: str
    template: Template
    propositions: Mapping[str, Proposition]
    categories: tuple[ContentCategory, ...]
    response_types: Mapping[str, ResponseType]
    combination: CombinationSpec = field(default_factory=CombinationSpec)
    default_response_type: str | None = None
    response_type_confidence: float = 0.5
    on_unscorable: OnUnscorable = field(default_factory=OnUnscorable)

    @cached_property
    def category_propositions(self) -> tuple[Proposition, ...]:
        """What is asked about a prompt whose response type is not named, in the order of ``categories``."""
        return tuple(category.proposition for category in self.categories)

    @cached_property
    def fingerprint(self) -> str:
        """Of everything that can change a reward."""
        parts: list[Part] = [
            "policy",
            self.name,
            self.version,
            self.template.fingerprint,
            [proposition.fingerprint for proposition in self.propositions.values()],
            [(c.name, c.proposition.fingerprint, c.response_type) for c in self.categories],
            [(name, kind.rules_fingerprint) for name, kind in self.response_types.items()],
            self.combination.rule,
            dict(self.combination.parameters),
            self.default_response_type,
            self.response_type_confidence,
            self.on_unscorable.action,
            self.on_unscorable.value,
        ]
        return fingerprint(*parts)
