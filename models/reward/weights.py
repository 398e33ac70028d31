"""Fitted weights of the rule-based reward, and the JSON file that holds them.

Per response type: a weight a feature, an offset, and the fingerprint of the rules that they were fitted to. Knows how
to read and write; how weights are found is for `models.fit`, whether they fit a policy for `models.reward.binding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

from models.digests import fingerprint
from models.errors import WeightsError
from models.reward.documents import Node, parse_document, read_document, write_document

FORMAT: Final = 1
_KEYS: Final = (
    "format",
    "policy",
    "values",
    "offsets",
    "expects_base",
    "base_normaliser",
    "rules_fingerprints",
    "grader_identity",
    "report",
)


class BaseNormaliser(NamedTuple):
    """Mean and standard deviation of the base rewards of the fit: the scale that the weights suit."""

    mean: float
    spread: float


@dataclass(frozen=True)
class RewardWeights:
    """rbr = sum_f values[response_type][f] * phi_f + offsets[response_type].

    ``policy`` is a name. ``expects_base``: fitted with a base reward, without which the rules alone are on no scale.
    ``report`` is what the fit said about itself; it changes no reward and is outside the fingerprint.
    """

    policy: str
    values: Mapping[str, Mapping[str, float]]
    offsets: Mapping[str, float]
    rules_fingerprints: Mapping[str, str]
    grader_identity: str
    expects_base: bool = False
    base_normaliser: BaseNormaliser | None = None
    report: Mapping[str, object] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(
            "weights",
            self.policy,
            self.values,
            self.offsets,
            self.rules_fingerprints,
            self.grader_identity,
            self.expects_base,
            self.base_normaliser,
        )


def load_weights(where: str | Path) -> RewardWeights:
    """Weights by packaged name (``safety-embedded``) or path; a file of that path goes first."""
    if Path(where).is_file():
        return read_weights(where)
    packaged = packaged_weights()
    if str(where) not in packaged:
        known = ", ".join(packaged) or "none"
        raise WeightsError(f"weights {str(where)!r}: neither a file nor packaged; packaged weights: {known}")
    entry = resources.files("models.reward") / "packaged" / f"{where}.json"
    return _weights(parse_document(entry.read_text(encoding="utf-8"), f"packaged weights {where}"))


def packaged_weights() -> tuple[str, ...]:
    """Names of the weights that are shipped."""
    folder = resources.files("models.reward") / "packaged"
    if not folder.is_dir():
        return ()
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")))


def read_weights(path: str | Path) -> RewardWeights:
    """Reads a weights file strictly; `WeightsError` names the key and the remedy."""
    return _weights(read_document(path))


def weights_from_json(text: str, source: str) -> RewardWeights:
    """Like `read_weights`, for text that did not come from a file."""
    return _weights(parse_document(text, source))


def write_weights(weights: RewardWeights, path: str | Path) -> None:
    """Writes the file that `read_weights` reads, whole or not at all."""
    write_document(path, weights_to_json(weights))


def weights_to_json(weights: RewardWeights) -> dict[str, object]:
    """The file as JSON-ready values."""
    base = weights.base_normaliser
    return {
        "format": FORMAT,
        "policy": weights.policy,
        "values": {name: dict(values) for name, values in weights.values.items()},
        "offsets": dict(weights.offsets),
        "expects_base": weights.expects_base,
        "base_normaliser": None if base is None else base._asdict(),
        "rules_fingerprints": dict(weights.rules_fingerprints),
        "grader_identity": weights.grader_identity,
        "report": dict(weights.report),
    }


def _weights(document: Node) -> RewardWeights:
    keys = document.fields(*_KEYS)
    keys["format"].expect_format(FORMAT)
    values = {name: node.numbers() for name, node in keys["values"].entries().items()}
    offsets = keys["offsets"].numbers()
    rules = {name: node.text() for name, node in keys["rules_fingerprints"].entries().items()}
    for key, given in (("offsets", offsets), ("rules_fingerprints", rules)):
        if set(given) != set(values):
            raise keys[key].error(f"has to name the response types of values: {', '.join(values)}")
    report = keys["report"]
    report.entries()
    return RewardWeights(
        policy=keys["policy"].text(),
        values=values,
        offsets=offsets,
        rules_fingerprints=rules,
        grader_identity=keys["grader_identity"].text(),
        expects_base=keys["expects_base"].flag(),
        base_normaliser=_base_normaliser(keys["base_normaliser"]),
        report=dict(report.value) if isinstance(report.value, Mapping) else {},
    )


def _base_normaliser(node: Node) -> BaseNormaliser | None:
    if node.value is None:
        return None
    fields = node.fields("mean", "spread")
    spread = fields["spread"].number()
    if spread < 0:
        raise fields["spread"].error(f"a standard deviation is at least 0, got {spread}")
    return BaseNormaliser(fields["mean"].number(), spread)
