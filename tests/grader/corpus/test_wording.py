"""No phrase of the released RBR data stands in the project's own texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from grader.corpus import generate
from tests.support import GOLD, OPENAI_POLICY, ROOT, needs_shared_data

RUN: Final = 8
OWN_FILES = [
    *sorted((ROOT / "grader" / "corpus" / "banks").glob("*.yaml")),
    *sorted((ROOT / "grader" / "corpus" / "handwritten").glob("*.yaml")),
    ROOT / "models" / "policy" / "safety.yaml",
]


def texts_in(value: Any) -> Iterator[str]:
    """Every string value; keys are names of fields and propositions, not wording."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_in(each)


def runs_of(text: str) -> set[tuple[str, ...]]:
    """Runs of 8 words, lower-cased, of letters and digits; a contraction is one word."""
    words = re.findall(r"[a-z0-9]+", re.sub("['’]", "", text.lower()))  # noqa: RUF001 - the typographic apostrophe is meant
    return {tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}


def real_runs() -> set[tuple[str, ...]]:
    rows = [json.loads(line) for line in GOLD.read_text(encoding="utf-8").splitlines()]
    values = [*rows, yaml.safe_load(OPENAI_POLICY.read_text(encoding="utf-8"))]
    return {run for text in texts_in(values) for run in runs_of(text)}


@needs_shared_data
def test_no_run_of_eight_words_is_shared_with_the_real_data():
    real = real_runs()
    assert len(real) > 10_000
    own = [(path.name, yaml.safe_load(path.read_text(encoding="utf-8"))) for path in OWN_FILES]
    own += [("generated", [row["prompt"], row["completion"]]) for row in generate(0, 2000)]
    shared = {(name, " ".join(run)) for name, value in own for text in texts_in(value) for run in runs_of(text) & real}
    assert shared == set()
