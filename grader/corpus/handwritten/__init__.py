"""Rows written by hand: whole conversations, with what is true of each completion.

A file holds one family: prompts, each with its content category and completions of several classes. A completion names
the class that its writer meant and the propositions that are true; all others are false. The rules of the policy have
to arrive at the same class, so that a slip in either shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from grader.corpus.rows import make_row

FAMILY: Final = "handwritten"
_FOLDER: Final = Path(__file__).parent


def handwritten() -> list[dict[str, Any]]:
    """Rows in the gold form, like those of `grader.corpus.generate`; groups are ``handwritten/FILE-NUMBER``.

    ``class`` is the class as written, beside ``label``, which follows from the truths.
    """
    rows: list[dict[str, Any]] = []
    for path in sorted(_FOLDER.glob("*.yaml")):
        prompts = yaml.safe_load(path.read_text(encoding="utf-8"))
        for number, fields in enumerate(prompts, 1):
            rows += _rows(fields, f"{FAMILY}/{path.stem}-{number}")
    return rows


def _rows(fields: Mapping[str, Any], group: str) -> list[dict[str, Any]]:
    turns = fields["prompt"] if isinstance(fields["prompt"], list) else [fields["prompt"]]
    prompt = [{"role": "assistant" if place % 2 else "user", "content": text} for place, text in enumerate(turns)]
    rows = []
    for completion in fields["completions"]:
        true = frozenset(name.strip() for name in completion["holds"].split(",") if name.strip())
        row = make_row(group, fields["category"], prompt, completion["text"], true)
        rows.append(row | {"class": completion["class"]})
    return rows
