"""`rbr policy check`: is a policy file sound, and what does it judge?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from models.policy import PolicyReport, check_policy
from service.cli.console import JsonOption, console, errors, print_json

app = typer.Typer(help="Inspect policies.", no_args_is_help=True)


@app.callback()
def policy() -> None:
    """Inspect policies."""


@app.command()
def check(
    file: Annotated[str, typer.Argument(help="A policy file, or the name of a packaged policy.")],
    *,
    json: JsonOption = False,
) -> None:
    """Prove that each response type's completion classes exclude one another and cover every case; exit 1 where not."""
    report = check_policy(file)
    if json:
        print_json(report.to_json())
    else:
        _print(report)
    raise typer.Exit(0 if report.valid else 1)


def _print(report: PolicyReport) -> None:
    if report.response_types:
        table = Table("response type", "propositions", "assignments", "overlaps", "gaps", box=None)
        for name, kind in report.response_types.items():
            counts = (kind.propositions, kind.assignments, kind.overlaps, kind.gaps)
            table.add_row(name, *(f"{count:,}" for count in counts))
        console.print(table)
    for warning in report.warnings:
        errors.print(f"warning: {warning}", markup=False, highlight=False, soft_wrap=True)
    for problem in report.errors:
        errors.print(str(problem), markup=False, highlight=False, soft_wrap=True)
    if report.valid:
        console.print("valid: every assignment of truth values falls in exactly one completion class")
