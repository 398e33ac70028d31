"""How the shipped reward orders completions that a person labelled: `rbr score` on a gold file, against its classes.

    python -m benchmarks.gold_transfer GOLD.jsonl

Prints, per response type, the Spearman correlation of the reward with the rank of the gold completion class (ideal
highest). The gold class follows from the gold truth values by the rules of the policy, not from any grade.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from models.policy import Policy, load_policy
from models.rows import Row, read_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gold", type=Path)
    parser.add_argument("--policy", default="safety")
    options = parser.parse_args()
    rows = list(read_rows(options.gold))
    results = scored(options.gold, options.policy)
    policy = load_policy(options.policy)
    by_type: dict[str, list[tuple[float | None, int]]] = defaultdict(list)
    for row, result in zip(rows, results, strict=True):
        by_type[str(row.sample.response_type)].append((result, -gold_rank(policy, row)))
    print_table(by_type)


def scored(gold: Path, policy: str) -> list[float | None]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "scored.jsonl"
        rbr = Path(sys.executable).with_name("rbr")
        subprocess.run([rbr, "score", gold, "--policy", policy, "--out", out], check=True)
        return [json.loads(line)["reward"] for line in out.read_text(encoding="utf-8").splitlines()]


def gold_rank(policy: Policy, row: Row) -> int:
    """Rank of the completion class that the gold truth values fall in; 0 is best."""
    kind = policy.response_types[str(row.sample.response_type)]
    truths = row.propositions or {}
    truth_1_P = np.array([[truths[name] >= 0.5 for name in kind.diagram.variables]])
    return kind.classes[int(kind.diagram.classify(truth_1_P)[0])].rank


def print_table(by_type: dict[str, list[tuple[float | None, int]]]) -> None:
    table = Table("response type", "rows", "rewarded", "Spearman", "p-value", box=None)
    for name, pairs in sorted(by_type.items()):
        valid = [(reward, rank) for reward, rank in pairs if reward is not None]
        counts = (name, str(len(pairs)), str(len(valid)))
        if len({rank for _, rank in valid}) < 2:
            table.add_row(*counts, "undefined: one class only")
            continue
        correlation, p_value = spearmanr(*zip(*valid, strict=True))
        table.add_row(*counts, f"{correlation:.3f}", f"{p_value:.1e}")
    Console().print(table)


if __name__ == "__main__":
    main()
