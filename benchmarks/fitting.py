"""The fit beside the paper's procedure, and what fitted and sparse weights do on prompts and phrases never seen.

    python -m benchmarks.fitting [speed|reward|strict|accuracy]

Part 1, ``speed``: random problems of the size of OpenAI's released data (349 prompts, 5,892 completions, 25 features).
The procedure is 1,000 full-batch AdamW steps at 1e-2 from zero on all pairs, here in numpy, through the completions and
not the pairs' differences, which is the fastest way that we know to write it (a fifth of a millisecond a step). Both
get the same arrays; neither is timed for making pairs. The objective is the plain hinge mean.

Part 2, ``reward``: comparisons of the corpus generator, whose five wordings share no phrase and no topic. Weights, full
and sparse, are fitted on four wordings and measured on the fifth; every wording is the fifth once. The grader is the
shipped embedded one, which knows all phrases. Part 3, ``strict``: it is distilled from the four wordings as well, so
that what is measured is new to the grader too (a minute a wording). Part 4, ``accuracy``: grades drawn from the truth
as calibrated graders of several accuracies would give them, to say how good a grader has to be.
`benchmarks.base_reward` fixes the base reward, without a look at any of this.

Writes ``benchmarks/results/fitting.json``, the parts that were run.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import norm

from benchmarks import machine
from benchmarks.held_out import (
    SHIPPED,
    WORDINGS,
    Grade,
    Rotation,
    corpus_by_wording,
    distilled,
    drawn_at,
    graded_by,
    rotate,
)
from grader.linear_regression import one_thread
from models.fit import HingeProblem, Pairs, ranked_pairs, solve
from models.rows import Row

PROMPTS, COMPLETIONS, FEATURES, LABELS = 349, 5892, 25, 5
STEPS, RATE = 1000, 1e-2
ROUNDS = 5
ACCURACIES = (0.9, 0.95, 0.96, 0.97, 0.98, 0.99)
RESULTS = Path(__file__).parent / "results" / "fitting.json"


class Problem(NamedTuple):
    """Completions sorted by prompt and rank; ``base_N`` is the base reward."""

    phi_N_F: np.ndarray
    base_N: np.ndarray
    pairs: Pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "parts", nargs="*", choices=["speed", "reward", "strict", "accuracy"], default=["speed", "reward"]
    )
    parser.add_argument("--problems", type=int, default=5)
    parser.add_argument("--prompts", type=int, default=2000, help="of the corpus, parts 2 to 4")
    parser.add_argument("--rotations", type=int, default=WORDINGS, help="how many wordings are the fifth")
    options = parser.parse_args()
    document: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for part in options.parts:
        if part == "speed":
            document[part] = {**conditions(), **speed(options.problems)}
            show_speed(document[part])
            continue
        by_wording = corpus_by_wording(options.prompts)
        document[part] = {**conditions(), "prompts": options.prompts}
        if part == "accuracy":
            document[part]["graders"] = accuracy(by_wording, options.rotations)
            show_accuracy(document[part])
        else:
            document[part] |= reward(by_wording, options.rotations, strict=part == "strict")
            show_reward(document[part])
    RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def conditions() -> dict[str, Any]:
    return {"machine": machine.describe(), "load_average": round(os.getloadavg()[0], 1)}


# ---- part 1
def speed(problems: int) -> dict[str, Any]:
    """Rounds of both alternate and the best of each counts, so that a busy moment falls on neither alone."""
    found = []
    for seed in range(problems):
        problem = random_problem(seed)
        hinge = as_hinge(problem)
        w_F = procedure(problem)
        solution = solve(hinge)
        theirs, ours = [], []
        for _ in range(ROUNDS):
            theirs.append(seconds(lambda problem=problem: procedure(problem)))
            ours.append(seconds(lambda hinge=hinge: solve(hinge)))
        found.append(
            {
                "pairs": hinge.pairs,
                "procedure": {"hinge": hinge.hinge(w_F), "seconds": min(theirs)},
                "fit": {"hinge": solution.hinge, "gap": solution.gap, "seconds": min(ours), "rounds": solution.rounds},
                "times_faster": min(theirs) / min(ours),
            }
        )
    return {"prompts": PROMPTS, "completions": COMPLETIONS, "features": FEATURES, "problems": found}


def random_problem(seed: int) -> Problem:
    """Completions of five ranks: 20 propositions whose truth leans on the rank, and 5 class probabilities, which sum
    to 1; a base reward that knows nothing.
    """
    rng = np.random.default_rng(seed)
    group_N = np.concatenate([np.arange(PROMPTS), rng.integers(0, PROMPTS, COMPLETIONS - PROMPTS)])
    rank_N = rng.integers(0, LABELS, COMPLETIONS)
    order_N = np.lexsort((rank_N, group_N))
    group_N, rank_N = group_N[order_N], rank_N[order_N]
    leaning_L_P = rng.random((LABELS, FEATURES - LABELS))
    p_N_P = np.clip(leaning_L_P[rank_N] + rng.normal(0, 0.35, (COMPLETIONS, FEATURES - LABELS)), 0, 1)
    logits_N_L = rng.normal(size=(COMPLETIONS, LABELS))
    logits_N_L[np.arange(COMPLETIONS), rank_N] += 2
    class_N_L = np.exp(logits_N_L)
    class_N_L /= class_N_L.sum(axis=1, keepdims=True)
    base_N = rng.normal(size=COMPLETIONS)
    return Problem(np.concatenate([p_N_P, class_N_L], axis=1), base_N, ranked_pairs(group_N, rank_N))


def as_hinge(problem: Problem) -> HingeProblem:
    better_K, worse_K = problem.pairs
    targets_K = 1.0 - (problem.base_N[better_K] - problem.base_N[worse_K])
    return HingeProblem(problem.phi_N_F, better_K, worse_K, targets_K)


def procedure(problem: Problem) -> np.ndarray:
    """AdamW with the defaults of its authors and no decay, which then is Adam; margin 1."""
    phi_N_F, base_N, (better_K, worse_K) = problem
    rows = len(phi_N_F)
    w_F, first_F, second_F = np.zeros((3, phi_N_F.shape[1]))
    for step in range(1, STEPS + 1):
        reward_N = base_N + phi_N_F @ w_F
        short_K = 1.0 + reward_N[worse_K] - reward_N[better_K] > 0
        push_N = np.bincount(worse_K[short_K], minlength=rows) - np.bincount(better_K[short_K], minlength=rows)
        gradient_F = push_N @ phi_N_F / len(better_K)
        first_F = 0.9 * first_F + 0.1 * gradient_F
        second_F = 0.999 * second_F + 0.001 * gradient_F**2
        w_F = w_F - RATE * (first_F / (1 - 0.9**step)) / (np.sqrt(second_F / (1 - 0.999**step)) + 1e-8)
    return w_F


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def show_speed(document: dict[str, Any]) -> None:
    table = Table("pairs", "procedure", "hinge", "fit", "hinge", "gap / objective", "times faster", box=None)
    for each in document["problems"]:
        theirs, ours = each["procedure"], each["fit"]
        table.add_row(
            f"{each['pairs']:,}",
            f"{theirs['seconds'] * 1e3:.0f} ms",
            f"{theirs['hinge']:.5f}",
            f"{ours['seconds'] * 1e3:.1f} ms",
            f"{ours['hinge']:.5f}",
            f"{ours['gap'] / ours['hinge']:.0e}",
            f"{each['times_faster']:.1f}",
        )
    Console(width=140).print(table)


# ---- parts 2 to 4
def reward(by_wording: Sequence[Sequence[Row]], rotations: int, *, strict: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:

        def grader(fifth: int) -> Grade:
            return graded_by(distilled(by_wording, fifth, Path(folder)) if strict else SHIPPED)

        found = [rotate(by_wording, fifth, grader(fifth)) for fifth in range(rotations)]
    return {"rotations": [each._asdict() for each in found], "mean": mean(found)}


def accuracy(by_wording: Sequence[Sequence[Row]], rotations: int) -> list[dict[str, float]]:
    found = []
    for each in ACCURACIES:
        grade = drawn_at(each, by_wording)
        auroc = float(norm.cdf(norm.ppf(each) * np.sqrt(2)))
        found.append(
            {"accuracy": each, "auroc": auroc, **mean([rotate(by_wording, fifth, grade) for fifth in range(rotations)])}
        )
    return found


def mean(rotations: Sequence[Rotation]) -> dict[str, float]:
    return {name: float(np.mean([getattr(each, name) for each in rotations])) for name in Rotation.figures()}


def show_reward(document: dict[str, Any]) -> None:
    table = Table("", "base alone", "rules alone", "base + rules", "sparse", "propositions graded", box=None)
    for name, each in [*((r["wording"], r) for r in document["rotations"]), ("mean", document["mean"])]:
        rates = [f"{100 * each[key]:.2f}%" for key in ("base", "rules", "both", "sparse")]
        table.add_row(name, *rates, f"{100 * each['graded']:.0f}%")
    Console(width=140).print(table)


def show_accuracy(document: dict[str, Any]) -> None:
    table = Table("right in", "base alone", "base + rules", "ratio", box=None)
    for each in document["graders"]:
        rates = [f"{100 * each[key]:.2f}%" for key in ("base", "both")]
        table.add_row(f"{each['accuracy']:.0%}", *rates, f"{each['both'] / each['base']:.3f}")
    Console(width=140).print(table)


if __name__ == "__main__":
    with one_thread():
        main()
