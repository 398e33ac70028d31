"""The confusion of inferred response types: what the policy's content categories make of prompts of known type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from grader.grader import Grader
from models.conversations import Conversation
from models.evaluate import Confusion, Resampling, confusion, confusion_json
from models.policy import Policy
from models.reward import Snapshot
from models.rows import Row
from service.cli.grading import CHUNK, before_fit
from service.scoring.inference import infer_response_types

NO_RULES: Final = "none"  # no category claims the prompt and the policy has no default
NO_CATEGORIES: Final = "the policy has no content categories to infer a response type from"
NO_RESPONSE_TYPES: Final = "no row names a response type of the policy"


@dataclass(frozen=True)
class ResponseTypes:
    """``confusion`` over prompts, or the reason why it is ``unmeasurable``. ``unscorable``: prompts by reason."""

    confusion: Confusion | None = None
    unmeasurable: str | None = None
    unscorable: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        if self.confusion is None:
            return {"unmeasurable": self.unmeasurable, "unscorable": dict(self.unscorable)}
        return {**confusion_json(self.confusion), "unscorable": dict(self.unscorable)}


async def measure_response_types(
    grader: Grader, policy: Policy, rows: Sequence[Row], *, seed: int, resamples: int
) -> ResponseTypes:
    """A response type belongs to the prompt, so each prompt counts once, however many completions it has."""
    if not policy.categories:
        return ResponseTypes(unmeasurable=NO_CATEGORIES)
    gold = _gold(rows, policy)
    if not gold:
        return ResponseTypes(unmeasurable=NO_RESPONSE_TYPES)
    snapshot = Snapshot(policy, before_fit(policy, grader.backend.identity))
    meant, inferred, unscorable = [], [], Counter[str]()
    for start in range(0, len(gold), CHUNK):
        chunk = gold[start : start + CHUNK]
        found = await infer_response_types(grader, snapshot, [prompt for prompt, _ in chunk], None)
        for (_, named), answer in zip(chunk, found.by_prompt, strict=True):
            if answer.problem is not None:
                unscorable[answer.problem.reason] += 1
                continue
            meant.append(named)
            inferred.append(answer.response_type or NO_RULES)
    if not meant:
        return ResponseTypes(unmeasurable="the grader inferred no response type", unscorable=unscorable)
    alone_S = np.arange(len(meant))
    result = confusion(meant, inferred, policy.response_types, alone_S, Resampling(alone_S, resamples, seed))
    return ResponseTypes(result, None, unscorable)


def _gold(rows: Sequence[Row], policy: Policy) -> list[tuple[Conversation, str]]:
    """Prompts and the response types that rows name for them, without repetition."""
    pairs = ((row.sample.prompt, row.sample.response_type) for row in rows)
    return list(dict.fromkeys((prompt, named) for prompt, named in pairs if named and named in policy.response_types))
