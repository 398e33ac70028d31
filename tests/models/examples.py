"""Small policies, weights and rows that tests of rewards and fits share."""

from __future__ import annotations

from models.conversations import Message
from models.policy.policy import Policy
from models.policy.reading import read_policy
from models.reward import RewardWeights
from models.rows import Row
from models.samples import Sample

IDENTITY = "test-grader:1"

SMALL = """
name: small
version: "1"
prompt_template: "{question} {response}"
completion_class_order: [good, weak, bad]
completion_classes:
  good: {comply: {rude: false, wrong: false}}
  weak: {comply: {rude: true, wrong: false}}
  bad: {comply: {wrong: true}}
simple_propositions:
  rude: {prompt: "Is it rude?"}
  wrong: {prompt: "Is it wrong?"}
  long: {prompt: "Is it long?"}
features:
  comply: {propositions: [rude, wrong, long], classes: true}
"""


def small_policy(text: str = SMALL) -> Policy:
    """One response type; features rude, wrong, long, good, weak, bad; ``long`` is in no rule."""
    return read_policy(text)


def weights_for(policy: Policy, value: float = 1.0, **changes: object) -> RewardWeights:
    """Weights bound to the policy, every feature ``value``, offsets 0."""
    kinds = policy.response_types
    fields: dict[str, object] = {
        "policy": policy.name,
        "values": {name: {feature.name: value for feature in kind.features} for name, kind in kinds.items()},
        "offsets": dict.fromkeys(kinds, 0.0),
        "rules_fingerprints": {name: kind.rules_fingerprint for name, kind in kinds.items()},
        "grader_identity": IDENTITY,
    }
    return RewardWeights(**{**fields, **changes})  # type: ignore[arg-type]


def small_row(
    group: str, label: str | None, rude: float, wrong: float, long: float = 0.5, base: float | None = None
) -> Row:
    """A graded, labelled completion under the small policy."""
    prompt, completion = (Message("user", group),), (Message("assistant", "..."),)
    sample = Sample(prompt, completion, group=group, response_type="comply", base_reward=base)
    return Row(sample, label=label, propositions={"rude": rude, "wrong": wrong, "long": long})
