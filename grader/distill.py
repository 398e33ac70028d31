"""Distils labels into an artifact of the embedded grader: from gold rows, or from grades that a stronger grader gave.

    report = distill(read_rows("gold.jsonl"), Path("my-heads"))      # then: rbr serve --grader embedded:my-heads

Heads of completions come from ``propositions``, heads of prompts from ``category``. Needs the extra ``distill``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from grader.backends.embedded.backend import PACKAGED
from grader.backends.embedded.features import FeatureSettings
from grader.backends.embedded.heads import Artifact, Heads, read_artifact
from grader.backends.embedded.texts import completion_text, prompt_text
from grader.errors import BackendUnavailable
from grader.training import Examples, HeadScore, fit_heads, require_sklearn
from models.errors import RowError
from models.reasoning import answer_view
from models.rows import Row

COMPLETION_SETTINGS: Final = FeatureSettings()
PROMPT_SETTINGS: Final = FeatureSettings(word_bits=13, byte_bits=13, relations=False)
_NO_CATEGORY: Final = frozenset({"", "none"})
_FEWEST_ROWS: Final = 10


@dataclass(frozen=True)
class DistillReport:
    """``propositions`` and ``categories``: held-out figures by head. ``constant``: heads whose rows all had one label,
    so that they answer the base rate. ``inherited``: prompt heads taken over from the shipped artifact."""

    rows: int
    propositions: Mapping[str, HeadScore]
    categories: Mapping[str, HeadScore]
    inherited: tuple[str, ...]
    artifact: str

    @property
    def constant(self) -> tuple[str, ...]:
        return tuple(name for name, score in self.propositions.items() if score.auroc is None)

    def to_json(self) -> dict[str, Any]:
        """The macros of ``cross_validated`` are over heads that saw both labels."""
        return {
            "rows": self.rows,
            "cross_validated": macro(self.propositions),
            "artifact": self.artifact,
            "propositions": {name: _figures(score) for name, score in self.propositions.items()},
            "categories": {name: _figures(score) for name, score in self.categories.items()},
            "constant": list(self.constant),
            "inherited": list(self.inherited),
        }


def distill(
    rows: Iterable[Row],
    out_dir: Path | str,
    *,
    seed: int = 0,
    folds: int = 5,
    inverse_penalty: float = 1.0,
    settings: FeatureSettings = COMPLETION_SETTINGS,
    progress: Callable[[str], None] = lambda _: None,
) -> DistillReport:
    """Trains heads, cross-validates them by prompt and writes the artifact to ``out_dir``.

    ``inverse_penalty``: raising it fits the rows closer and transfers less. A row may know only some propositions.
    Raises `BackendSpecError` without scikit-learn, `RowError` where nothing can be learned. Deterministic per seed.
    """
    require_sklearn()
    known = [row for row in rows if row.propositions]
    if len(known) < _FEWEST_ROWS:
        raise RowError(
            f"{len(known)} rows have propositions and {_FEWEST_ROWS} are needed; give gold rows or recorded grades",
            "propositions",
        )
    progress(f"{len(known)} rows: heads of completions")
    fit = {"seed": seed, "folds": folds, "inverse_penalty": inverse_penalty}
    completion, scores = fit_heads(_completions(known), settings, **fit)  # type: ignore[arg-type]
    progress("heads of prompts")
    prompt, category_scores, inherited = _prompt_heads(known, fit)
    report = DistillReport(len(known), scores, category_scores, inherited, str(out_dir))
    document = {key: value for key, value in report.to_json().items() if key != "artifact"}
    Artifact(completion, prompt, document).write(Path(out_dir))
    return report


def macro(scores: Mapping[str, HeadScore]) -> dict[str, float | None]:
    """Means over the heads that saw both labels."""
    both = [score for score in scores.values() if score.auroc is not None]
    if not both:
        return {"auroc": None, "accuracy": None}
    return {
        "auroc": round(float(np.mean([score.auroc for score in both if score.auroc is not None])), 4),
        "accuracy": round(float(np.mean([score.accuracy for score in both])), 4),
    }


def _completions(rows: Sequence[Row]) -> Examples:
    names = tuple(dict.fromkeys(name for row in rows for name in row.propositions or {}))
    p_yes_S_H = np.array(
        [[(row.propositions or {}).get(name, np.nan) for name in names] for row in rows], dtype=np.float64
    )
    texts = [
        completion_text(row.sample.prompt, answer_view(row.sample.completion) or row.sample.completion) for row in rows
    ]
    return Examples(names, texts, [str(row.sample.group) for row in rows], p_yes_S_H)


def _prompt_heads(
    rows: Sequence[Row], fit: Mapping[str, Any]
) -> tuple[Heads, Mapping[str, HeadScore], tuple[str, ...]]:
    """Heads of the categories that the rows name, beside those of the shipped artifact that they do not."""
    examples = _prompts(rows)
    trained = fit_heads(examples, PROMPT_SETTINGS, **fit) if examples.names else None
    shipped = _shipped_prompt_heads()
    if trained is None:
        if shipped is None:
            raise RowError(
                "no row has a category, and there is no shipped artifact to take prompt heads from", "category"
            )
        return shipped, {}, shipped.names
    heads, scores = trained
    missing = (
        []
        if shipped is None or shipped.settings != heads.settings
        else [n for n in shipped.names if n not in heads.names]
    )
    if not missing or shipped is None:
        return heads, scores, ()
    columns = [shipped.names.index(name) for name in missing]
    merged = Heads(
        (*heads.names, *missing),
        heads.settings,
        np.concatenate([heads.weights_D_H, shipped.weights_D_H[:, columns]], axis=1),
        np.concatenate([heads.slopes_H, shipped.slopes_H[columns]]),
        np.concatenate([heads.intercepts_H, shipped.intercepts_H[columns]]),
    )
    return merged, scores, tuple(missing)


def _prompts(rows: Sequence[Row]) -> Examples:
    """One example a prompt."""
    firsts: dict[str, Row] = {}
    for row in rows:
        if row.category is not None:
            firsts.setdefault(str(row.sample.group), row)
    named = [(row.category or "").strip() for row in firsts.values()]
    names = tuple(sorted({name for name in named if name.lower() not in _NO_CATEGORY}))
    p_yes_S_H = np.array([[float(name == given) for name in names] for given in named], dtype=np.float64)
    return Examples(names, [prompt_text(row.sample.prompt) for row in firsts.values()], list(firsts), p_yes_S_H)


def _shipped_prompt_heads() -> Heads | None:
    try:
        return read_artifact(PACKAGED).prompt
    except BackendUnavailable:
        return None


def _figures(score: HeadScore) -> dict[str, Any]:
    return {
        "rows": score.rows,
        "positives": score.positives,
        "auroc": None if score.auroc is None else round(score.auroc, 4),
        "accuracy": round(score.accuracy, 4),
    }
