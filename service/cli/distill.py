"""`rbr distill`: train the embedded grader's heads on labelled rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from grader import distill as training
from models.rows import read_rows
from service.cli.console import JsonOption, console, errors, print_json


def distill(
    file: Annotated[Path, typer.Argument(help="Gold rows or recorded grades (JSONL).")],
    out: Annotated[Path, typer.Option(help="Folder to write the artifact to.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same heads.")] = 0,
    *,
    json: JsonOption = False,
) -> None:
    """Train heads, measured by grouped cross-validation, and write them for `--grader embedded:DIR`."""
    with errors.status("reading") as status:
        report = training.distill(read_rows(file), out, seed=seed, progress=status.update)
    if json:
        print_json(report.to_json())
    else:
        _print(report)


def _print(report: training.DistillReport) -> None:
    table = Table("head", "rows", "positives", "AUROC", "accuracy", box=None)
    for name, score in [*report.propositions.items(), *report.categories.items()]:
        auroc = "-" if score.auroc is None else f"{score.auroc:.3f}"
        table.add_row(name, f"{score.rows:,}", f"{score.positives:,}", auroc, f"{score.accuracy:.3f}")
    console.print(table)
    macro = training.macro(report.propositions)
    console.print(
        f"cross-validated over {report.rows:,} rows: macro AUROC {macro['auroc']:.3f}, accuracy {macro['accuracy']:.3f}"
    )
    if report.constant:
        console.print(f"one label only, so these answer their base rate: {', '.join(report.constant)}")
    console.print(f"written to {report.artifact}", markup=False)
