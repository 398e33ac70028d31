"""How much of the grading a cascade keeps from its second grader, with human gold labels as that grader.

    python -m benchmarks.cascade GOLD.jsonl [--shipped-only] [--out benchmarks/results/cascade.json]

Two first graders: the shipped heads, which were never trained on gold, and heads distilled from the gold rows of the
training folds. Every figure is of rows that neither thresholds nor heads had seen, over whole prompts held out:

- share: answers of the first grader that never reach the second, of all rows; the mean over propositions
- agreement: rows on which the cascade answers as the second grader does, of all rows of a proposition. Those that the
  second answers agree by definition, so this is 1 - wrong answers of the first / all rows
- answered_agreement, stricter: of the rows that the first answers alone
- missed_yes: share of the second's yes that became a no, which agreement hides where yes is rare

Thresholds are fitted for an agreement of 0.98 with confidence 0.9, by the first definition and by the stricter one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe
from grader.backends.embedded import EmbeddedBackend
from grader.backends.embedded.backend import PACKAGED
from grader.cascade_fit import Goal, Labelled, distilled_logits, first_logits, fit_thresholds
from grader.cascade_fit.bounds import held
from grader.cascade_fit.held_out import HeldOut, judged
from grader.cascade_fit.rows import asked_propositions, distill_and_grade, labelled
from grader.held_out import deal_folds
from models.policy import load_policy
from models.rows import Row, read_rows

POLICY = load_policy("safety")
GOALS = {"of_all_rows": Goal(0.98, 0.9, "all"), "of_answered_rows": Goal(0.98, 0.9, "answered")}
FOLDS = 10
INNER_FOLDS = 4
SEEDS = 5
FREQUENT = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gold", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "cascade.json")
    parser.add_argument("--shipped-only", action="store_true")
    options = parser.parse_args()
    rows = [row for row in read_rows(options.gold) if row.propositions]
    result: dict[str, Any] = {
        "machine": describe(),
        "rows": len(rows),
        "wanted_agreement": 0.98,
        "confidence": 0.9,
        "folds": FOLDS,
        "shipped": shipped(rows),
    }
    if not options.shipped_only:
        result["distilled"] = distilled(rows)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for first in ("shipped", "distilled"):
        for goal, figures in result.get(first, {}).items():
            print(first, goal, {key: value for key, value in figures.items() if key != "propositions"})


def shipped(rows: Sequence[Row]) -> dict[str, Any]:
    """Thresholds cross-fitted; the mean of several divisions into folds, and the interval of the first."""
    backend = EmbeddedBackend()
    labels = asyncio.run(first_logits(rows, POLICY, backend.grade))
    figures = {}
    for name, goal in GOALS.items():
        reports = [fit_thresholds(labels, backend.identity, goal=goal, folds=FOLDS, seed=seed) for seed in range(SEEDS)]
        figures[name] = summary(labels, [report.held_out for report in reports]) | {
            "share_interval": [round(end, 4) for end in reports[0].share_interval],
            "agreement_interval": [round(end, 4) for end in reports[0].agreement_interval],
            "share_by_seed": [round(report.share, 4) for report in reports],
        }
    return figures


def distilled(rows: Sequence[Row]) -> dict[str, Any]:
    """Heads and thresholds of the training folds alone; thresholds of logits that were held out within these."""
    propositions = asked_propositions(rows, POLICY)
    fold_S = deal_folds([str(row.sample.group) for row in rows], 0, FOLDS)
    logits_S_P = np.full((len(rows), len(propositions)), np.nan)
    alone = {name: np.zeros((len(rows), len(propositions)), dtype=np.bool_) for name in GOALS}
    for fold in range(FOLDS):
        print(f"fold {fold + 1} of {FOLDS}", flush=True)
        inside = np.flatnonzero(fold_S == fold).tolist()
        seen = [row for row, place in zip(rows, fold_S, strict=True) if place != fold]
        labels = asyncio.run(distilled_logits(seen, POLICY, folds=INNER_FOLDS))
        unseen = [rows[i] for i in inside]
        logits_S_P[inside] = asyncio.run(distill_and_grade(seen, unseen, propositions, POLICY, PACKAGED, 0))
        for name, goal in GOALS.items():
            fit = goal.fit()
            for column, label in enumerate(labels):
                bounds = fit(label.logits_S, label.yes_S)
                alone[name][inside, column] = held(logits_S_P[inside, column], bounds)
    columns = labelled(rows, propositions, logits_S_P)
    return {name: summary(columns, [judge(columns, alone_S_P)]) for name, alone_S_P in alone.items()}


def judge(columns: Sequence[Labelled], alone_S_P: NDArray[np.bool_]) -> list[HeldOut]:
    """Every gold row knows every proposition, so that rows and columns fit."""
    return [judged(one.logits_S, one.yes_S, alone_S_P[:, place]) for place, one in enumerate(columns)]


def summary(labels: Sequence[Labelled], seeds: Sequence[Sequence[HeldOut]]) -> dict[str, Any]:
    """Means over the divisions into folds."""
    propositions = {
        label.proposition.name: figures(label, [held_out[place] for held_out in seeds])
        for place, label in enumerate(labels)
    }
    frequent = [one for one in propositions.values() if one["positives"] >= FREQUENT]
    answered = sum(int(one.alone_S.sum()) for held_out in seeds for one in held_out)
    wrong = sum(int(one.wrong_S.sum()) for held_out in seeds for one in held_out)
    whole = [np.all([one.alone_S for one in held_out], axis=0).mean() for held_out in seeds]
    return {
        "share": mean_of(propositions.values(), "share"),
        "agreement": mean_of(propositions.values(), "agreement"),
        "lowest_agreement": min(one["agreement"] for one in propositions.values()),
        "below_wanted": [name for name, one in propositions.items() if one["agreement"] < 0.98],
        "answered_agreement": round(1 - wrong / answered, 4) if answered else None,
        "propositions_with_10_positives": {
            "propositions": len(frequent),
            "share": mean_of(frequent, "share"),
            "agreement": mean_of(frequent, "agreement"),
        },
        "rows_that_never_reach_the_second": round(float(np.mean(whole)), 4),
        "propositions": propositions,
    }


def figures(label: Labelled, seeds: Sequence[HeldOut]) -> dict[str, Any]:
    answered = [one.answered_agreement for one in seeds if one.answered_agreement is not None]
    missed = [one.missed_yes for one in seeds if one.missed_yes is not None]
    return {
        "positives": int(label.yes_S.sum()),
        "share": round(float(np.mean([one.share for one in seeds])), 4),
        "agreement": round(float(np.mean([one.agreement for one in seeds])), 4),
        "agreement_interval": [round(end, 4) for end in seeds[0].agreement_interval],
        "answered_agreement": round(float(np.mean(answered)), 4) if answered else None,
        "missed_yes": round(float(np.mean(missed)), 4) if missed else None,
    }


def mean_of(entries: Any, key: str) -> float:
    values: list[Mapping[str, Any]] = list(entries)
    return round(float(np.mean([one[key] for one in values])), 4)


if __name__ == "__main__":
    main()
