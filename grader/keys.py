"""Where a grade is filed: the key of a conversation under one grader, and the field of a proposition.

The key digests everything of a task but its propositions, the field a proposition alone, so that a new proposition
keeps the grades of the others.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, Final, NamedTuple

from grader.tasks import GradeTask
from models.conversations import encode_conversation
from models.digests import encode
from models.policy import Proposition, Template

# 96 bits: propositions come from the operator's policies, so nobody searches for collisions.
FIELD_BYTES: Final = 12
# Policies have few distinct tuples of propositions; callers that build new ones each time must not fill the memory.
_MAX_PLANS: Final = 1024

_COMPLETION_MESSAGES: Final = struct.Struct("<I")


class Plan(NamedTuple):
    """What is looked up for a tuple of propositions: ``fields`` in their order.

    ``take`` picks the values of all fields out of a mapping, as a tuple; raises `KeyError` when one is missing.
    """

    fields: tuple[bytes, ...]
    take: Callable[[Mapping[bytes, Any]], tuple[Any, ...]]


class Keys:
    """Keys under one backend fingerprint; memoises what depends on template and propositions alone."""

    def __init__(self, backend_fingerprint: str) -> None:
        self.backend_fingerprint = backend_fingerprint
        self._prefixes: dict[str, hashlib._Hash] = {}
        # By identity, because hashing propositions costs more than the whole look-up. The tuple is kept with its plan:
        # an identity means something only as long as the object lives.
        self._plans: dict[int, tuple[tuple[Proposition, ...], Plan]] = {}

    def key(self, task: GradeTask) -> bytes:
        """32 bytes; raises `UnicodeEncodeError` for text that has no UTF-8 (lone surrogates)."""
        state = self._prefix(task.template).copy()
        state.update(_COMPLETION_MESSAGES.pack(task.completion_messages) + encode_conversation(task.conversation))
        return state.digest()

    def plan(self, propositions: tuple[Proposition, ...]) -> Plan:
        known = self._plans.get(id(propositions))
        return known[1] if known is not None else self._new_plan(propositions)

    def _prefix(self, template: Template) -> hashlib._Hash:
        prefix = self._prefixes.get(template.fingerprint)
        if prefix is None:
            prefix = hashlib.sha256(encode(("grade", self.backend_fingerprint, template.fingerprint)))
            self._prefixes[template.fingerprint] = prefix
        return prefix

    def _new_plan(self, propositions: tuple[Proposition, ...]) -> Plan:
        fields = tuple(bytes.fromhex(proposition.fingerprint)[:FIELD_BYTES] for proposition in propositions)
        plan = Plan(fields, _taker(fields))
        if len(self._plans) >= _MAX_PLANS:
            self._plans.clear()
        self._plans[id(propositions)] = (propositions, plan)
        return plan


def _taker(fields: tuple[bytes, ...]) -> Callable[[Mapping[bytes, Any]], tuple[Any, ...]]:
    """`itemgetter` is one C call for all fields, but gives a bare value for one and refuses none."""
    if len(fields) > 1:
        return itemgetter(*fields)
    return lambda values: tuple(values[field] for field in fields)
