"""Weights measured on a wording that they were not fitted to: other phrases, other topics, other prompts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm

from benchmarks.base_reward import with_base_reward
from grader.corpus import generated, handwritten
from grader.distill import distill
from models.fit import Comparisons, Sparsity, build_comparisons, error_rate, fit_weights
from models.policy import Policy, load_policy
from models.reward import RewardWeights, Snapshot
from models.rows import Row, row_from_json
from service.cli.grading import grade_rows, sample_problem
from service.environment import load_settings

WORDINGS = 5
SHIPPED = "embedded"

Grade: TypeAlias = Callable[[Sequence[Row]], list[Row]]
"""The rows with P(yes) as a grader gives it; those that cannot be graded (empty completions) left out."""

_MEASURED = "measured"  # the weights are not kept, so no service asks whose grades they are fitted to
_SEED = 11  # the shipped heads are of seed 0, so the prompts are new to them; the phrases are not


class Rotation(NamedTuple):
    """Error rates of (ideal, other) pairs over all response types, on the wording kept for the end.

    ``graded``: propositions that the sparse weights need, as a share of those that the full ones need, by completion.
    """

    wording: str
    pairs: int
    base: float
    rules: float
    both: float
    sparse: float
    graded: float

    @classmethod
    def figures(cls) -> tuple[str, ...]:
        return cls._fields[2:]


def corpus_by_wording(prompts: int) -> list[list[Row]]:
    """Generated rows, each with its base reward; none of those written by hand, which have no wording."""
    policy = load_policy("safety")
    by_wording: list[list[Row]] = [[] for _ in range(WORDINGS)]
    for document in generated(_SEED, prompts):
        row = row_from_json(document)
        kind = policy.response_types[str(row.sample.response_type)]
        rank = next(each.rank for each in kind.classes if each.name == row.label)
        by_wording[int(document["group"].partition("/")[0].removeprefix("wording"))].append(with_base_reward(row, rank))
    return by_wording


def rotate(by_wording: Sequence[Sequence[Row]], fifth: int, grade: Grade) -> Rotation:
    """Fits and chooses on four wordings as they are graded, and measures on the ``fifth``."""
    policy = load_policy("safety")
    train, test = grade(others(by_wording, fifth)), grade(by_wording[fifth])
    full = fit_weights(policy, train, grader_identity=_MEASURED)
    alone = fit_weights(policy, train, grader_identity=_MEASURED, with_base=False)
    sparse = fit_weights(policy, train, grader_identity=_MEASURED, sparsity=Sparsity())
    comparisons = build_comparisons(policy, test)
    return Rotation(
        wording=f"wording {fifth}",
        pairs=sum(len(kind.ideal_pairs.better_K) for kind in comparisons.values()),
        base=error(comparisons, None, base=1.0),
        rules=error(comparisons, alone, base=0.0),
        both=error(comparisons, full, base=1.0),
        sparse=error(comparisons, sparse, base=1.0),
        graded=cost(policy, sparse, test) / cost(policy, full, test),
    )


def distilled(by_wording: Sequence[Sequence[Row]], fifth: int, folder: Path) -> str:
    """A grader whose heads know the other wordings alone, and what was written by hand."""
    heads = folder / f"heads{fifth}"
    heads.mkdir()
    distill([*others(by_wording, fifth), *map(row_from_json, handwritten())], heads, start=None)
    return f"embedded:{heads}"


def others(by_wording: Sequence[Sequence[Row]], fifth: int) -> list[Row]:
    return [row for place, rows in enumerate(by_wording) if place != fifth for row in rows]


def graded_by(grader: str) -> Grade:
    def grade(rows: Sequence[Row]) -> list[Row]:
        found, _ = asyncio.run(grade_rows(rows, load_policy("safety"), load_settings(grader=grader)))
        return found

    return grade


def drawn_at(accuracy: float, by_wording: Sequence[Sequence[Row]]) -> Grade:
    """Grades drawn from the truth, as a grader gives them that is right in ``accuracy`` of balanced questions, whatever
    their wording: evidence z = +-d + N(0, 1), with d the normal quantile of the accuracy, and log-odds of the base rate
    + 2dz. Calibrated over all rows; its AUROC is the normal distribution at d sqrt(2). Errors are independent.
    """
    rng, distance = np.random.default_rng(_SEED), norm.ppf(accuracy)
    every = [row.propositions or {} for rows in by_wording for row in rows]
    prior = {name: logit(np.mean([truths[name] for truths in every])) for name in every[0]}

    def grade(rows: Sequence[Row]) -> list[Row]:
        found = []
        for row in rows:
            if sample_problem(row.sample) is not None:
                continue
            truths = row.propositions or {}
            signs_P = np.array([2 * truth - 1 for truth in truths.values()])
            evidence_P = signs_P * distance + rng.normal(size=len(signs_P))
            p_yes_P = expit(np.array([prior[name] for name in truths]) + 2 * distance * evidence_P)
            found.append(replace(row, propositions=dict(zip(truths, p_yes_P.tolist(), strict=True))))
        return found

    return grade


def error(comparisons: dict[str, Comparisons], weights: RewardWeights | None, *, base: float) -> float:
    """Share of all (ideal, other) pairs that the reward orders wrongly."""
    wrong = pairs = 0.0
    for name, kind in comparisons.items():
        count = len(kind.ideal_pairs.better_K)
        w_F = np.zeros(len(kind.features)) if weights is None else np.array([*weights.values[name].values()])
        wrong += (error_rate(base * kind.base_N + kind.phi_N_F @ w_F, kind.ideal_pairs) or 0.0) * count
        pairs += count
    return wrong / pairs


def cost(policy: Policy, weights: RewardWeights, rows: Sequence[Row]) -> int:
    """Propositions that have to be graded for the rows."""
    snapshot = Snapshot(policy, weights)
    needed = {name: len(snapshot.needed(name)) for name in policy.response_types}
    return sum(needed[str(row.sample.response_type)] for row in rows)
