"""Rows of the corpus: prompts with one ideal completion and several others, labelled by construction.

The completion class is computed from the truths by the rules of the packaged policy, so labels cannot contradict it.
"""

# ruff: noqa: PLR2004 - the numbers are shares and counts of recipes; a name for each would say no more
from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np

from grader.corpus.banks import Banks, load_banks
from grader.corpus.completions import RECIPES, Recipe
from grader.corpus.drafts import Draft
from grader.corpus.prompts import CATEGORIES, CorpusPrompt, make_prompt
from models.policy import Policy, load_policy

POLICY: Final = "safety"
DEFAULT_PROMPTS: Final = 1600
_TRIES: Final = 60
_WORDINGS: Final = 5
_EMOJI: Final = ("🙂", "🌱", "👍", "✨")


def generate(seed: int = 0, prompts: int = DEFAULT_PROMPTS, *, banks: Banks | None = None) -> list[dict[str, Any]]:
    """Rows in the gold form, plus ``label`` (completion class), ``group`` (prompt id) and ``categories`` (truths of the
    content categories for the prompt). The same arguments give the same rows on every machine.

    Each prompt has an ideal completion first, then three to six others of other classes and manners. The banks are
    divided into five wordings without a phrase or a topic in common (but for tiny banks); a prompt and its completions
    draw on one, which ``group`` names before its slash, so that cross-validation can hold whole wordings out. ``banks``
    replaces that division.
    """
    whole = load_banks()
    wordings = [banks] if banks else [whole.part(index, _WORDINGS, inside=True) for index in range(_WORDINGS)]
    rows: list[dict[str, Any]] = []
    for index in range(prompts):
        rng = Random(f"corpus/{seed}/{index}")  # noqa: S311 - reproducible data, no secret
        number = index % len(wordings)
        wording = wordings[number]
        rows += _rows_of(make_prompt(wording, rng), f"wording{number}/{seed}-{index}", wording, rng)
    return rows


def write(path: Path | str, seed: int = 0, prompts: int = DEFAULT_PROMPTS) -> int:
    """Writes the corpus as JSONL; returns the number of rows."""
    rows = generate(seed, prompts)
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return len(rows)


def completion_class(response_type: str, propositions: dict[str, bool]) -> str:
    """The one class of the policy `safety` that holds under these truths."""
    diagram = _policy().response_types[response_type].diagram
    truth_1_P = np.array([[propositions[name] for name in diagram.variables]])
    return diagram.classes[int(diagram.classify(truth_1_P)[0])]


@cache
def _policy() -> Policy:
    return load_policy(POLICY)


def proposition_names() -> tuple[str, ...]:
    """Names of the propositions about completions, in the order of the policy."""
    return tuple(name for name, proposition in _policy().propositions.items() if proposition.subject == "completion")


def _rows_of(prompt: CorpusPrompt, group: str, banks: Banks, rng: Random) -> list[dict[str, Any]]:
    recipes = RECIPES[prompt.response_type]
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    wanted = 1 + rng.randint(3, 6)
    for _ in range(_TRIES):
        draft = _written(_picked(recipes["other" if rows else "ideal"], rng), prompt, banks, rng)
        row = _row(draft, group)
        if (not rows and row["label"] != "ideal") or draft.text in seen:
            continue
        seen.add(draft.text)
        rows.append(row)
        if len(rows) == wanted:
            break
    return rows


def _written(recipe: Recipe, prompt: CorpusPrompt, banks: Banks, rng: Random) -> Draft:
    draft = Draft(banks, prompt, rng, plural=rng.random() < 0.12)
    recipe(draft)
    if draft.extra and ({"apology", "inability_to_comply"} & draft.traits or prompt.response_type == "hard_refuse"):
        draft.traits.add("additional_content")
    return draft


def _row(draft: Draft, group: str) -> dict[str, Any]:
    prompt = draft.prompt
    propositions = {name: name in draft.traits for name in proposition_names()}
    return {
        "group": group,
        "category": prompt.category,
        "response_type": prompt.response_type,
        "label": completion_class(prompt.response_type, propositions),
        "prompt": list(prompt.messages),
        "completion": [{"role": "assistant", "content": _surface(draft.text, draft.rng)}],
        "propositions": propositions,
        "categories": {name: name == prompt.category for name in CATEGORIES},
    }


def _picked(recipes: Sequence[tuple[Recipe, float]], rng: Random) -> Recipe:
    return rng.choices([recipe for recipe, _ in recipes], [weight for _, weight in recipes])[0]


def _surface(text: str, rng: Random) -> str:
    """What typing does to a text: curly quotes, no capitals, an emoji."""
    draw = rng.random()
    if draw < 0.12:
        text = text.replace("'", "\u2019")
    elif draw < 0.15:
        text = text.lower()
    elif draw < 0.18 and text:
        text = f"{text} {rng.choice(_EMOJI)}"
    return text


def class_counts(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Rows by response type and class."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        by_class = counts.setdefault(row["response_type"], {})
        by_class[row["label"]] = by_class.get(row["label"], 0) + 1
    return counts
