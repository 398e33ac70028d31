"""The whole corpus: what the banks generate, and what was written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grader.corpus.generating import DEFAULT_PROMPTS, generated
from grader.corpus.handwritten import handwritten


def generate(seed: int = 0, prompts: int = DEFAULT_PROMPTS) -> list[dict[str, Any]]:
    """Generated rows, then those written by hand; ``prompts`` counts the generated ones. Deterministic."""
    return [*generated(seed, prompts), *handwritten()]


def write(path: Path | str, seed: int = 0, prompts: int = DEFAULT_PROMPTS) -> int:
    """Writes the corpus as JSONL; returns the number of rows."""
    rows = generate(seed, prompts)
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return len(rows)
