"""The part of `rbr distill` that fits a cascade's thresholds: whose grades, for which agreement, and how it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Column, Table

from grader.backends.cascade import write_thresholds
from grader.backends.cascade.thresholds import RECORDED
from grader.backends.embedded import EmbeddedBackend
from grader.cascade_fit import (
    CascadeReport,
    Goal,
    Labelled,
    distilled_logits,
    first_logits,
    fit_thresholds,
    rows_needed,
)
from grader.grades import Answer, Unscorable
from grader.tasks import GradeTask
from models.errors import FitError
from models.policy import Policy, load_policy
from models.rows import Row
from service.bootstrap import open_grader
from service.cli.console import console, errors, progress
from service.settings import Settings, load_settings

_CHUNK: Final = 256

CascadeOutOption = Annotated[
    Path | None, typer.Option(help="File to write the thresholds of a cascade to: when the first grader is sure.")
]
FirstOption = Annotated[
    str | None,
    typer.Option("--grader", help="With --cascade: the first grader, BACKEND[:WHERE]. Without it, the heads of --out."),
]
AgreementOption = Annotated[
    float, typer.Option(help="With --cascade: share of new rows on which it shall answer as the grader of FILE did.")
]
ConfidenceOption = Annotated[
    float, typer.Option(help="With --cascade: how surely each proposition shall. Raising it leaves the first less.")
]
AmongOption = Annotated[
    str, typer.Option(help="With --cascade: agreement over `all` rows, or over those `answered` by the first grader.")
]
SecondOption = Annotated[
    str, typer.Option("--grader-identity", help="With --cascade: who gave the grades of FILE (`identity` in /info).")
]


def check_options(out: Path | None, cascade: Path | None, first: str | None) -> None:
    """Raises `typer.BadParameter` for options that do not go together."""
    if out is None and cascade is None:
        raise typer.BadParameter("give --out DIR for heads, --cascade FILE for a cascade's thresholds, or both")
    if cascade is not None and out is None and first is None:
        raise typer.BadParameter(
            "--cascade needs the first grader: --grader BACKEND[:WHERE], or --out DIR for new heads"
        )
    if first is not None and (cascade is None or out is not None):
        raise typer.BadParameter("--grader is the first grader of a --cascade, and with --out that is the new heads")


def goal_of(agreement: float, confidence: float, among: str) -> Goal:
    """Raises `typer.BadParameter`, or `RowError` for what is no share."""
    if among == "all":
        goal = Goal(agreement, confidence, "all")
    elif among == "answered":
        goal = Goal(agreement, confidence, "answered")
    else:
        raise typer.BadParameter(f"--among is `all` or `answered`, not {among!r}")
    goal.check()
    return goal


def fit_cascade(
    rows: Sequence[Row],
    cascade: Path,
    goal: Goal,
    *,
    first: str | None,
    heads: Path | None,
    start: Path | None = None,
    second: str = RECORDED,
    policy: str | None = None,
    seed: int = 0,
) -> CascadeReport:
    """Thresholds written to ``cascade``. ``heads``: were distilled from these rows, from
    ``start``, so that the logits that count are those of heads that had not seen the row.
    """
    # An environment that serves a cascade must not make one of the first grader.
    settings = load_settings(grader=first, policy=policy).model_copy(
        update={"cascade": None, "cascade_audit_rate": None, "cascade_first_model": None, "cascade_first_api_key": None}
    )
    rules = load_policy(settings.policy)
    known = [row for row in rows if row.propositions]
    if heads is None:
        labelled, identity = asyncio.run(_asked(known, rules, settings))
    else:
        identity = EmbeddedBackend(heads).identity
        with errors.status("held-out grades") as status:
            labelled = asyncio.run(distilled_logits(known, rules, start=start, seed=seed, progress=status.update))
    report = fit_thresholds(labelled, identity, second, goal, seed=seed)
    cascade.parent.mkdir(parents=True, exist_ok=True)
    write_thresholds(report.thresholds, cascade)
    return report


def cascade_document(report: CascadeReport, cascade: Path) -> dict[str, Any]:
    return {**report.to_json(), "thresholds": str(cascade)}


def print_cascade(report: CascadeReport, cascade: Path) -> None:
    """A line a proposition; every figure is of rows that its thresholds were not fitted to."""
    name_column = Column("proposition", no_wrap=True)
    table = Table(name_column, "rows", "yes", "share", "agreement", "of answered", box=None)
    figures = report.to_json()["propositions"]
    for name, one in figures.items():
        held_out = one["held_out"]
        low, high = held_out["agreement_interval"]
        table.add_row(
            name,
            f"{one['rows']:,}",
            f"{one['positives']:,}",
            f"{held_out['share']:.2f}",
            f"{held_out['agreement']:.3f} {low:.2f}-{high:.2f}",
            "-" if held_out["answered_agreement"] is None else f"{held_out['answered_agreement']:.3f}",
        )
    console.print(table)
    console.print(
        f"held out: the first grader answers {report.share:.1%} ({_span(report.share_interval)}) alone; agreement "
        f"{report.agreement:.2%} ({_span(report.agreement_interval)}) of all, {_percent(report.answered_agreement)} of "
        "those that it answers"
    )
    goal = report.goal
    if report.below:
        console.print(f"held out below {goal.agreement}: {', '.join(report.below)}")
    needed = rows_needed(goal.agreement, goal.confidence)
    if few := [name for name, one in figures.items() if one["rows"] < needed]:
        console.print(f"fewer than the {needed} rows from which anything follows: {', '.join(few)}")
    console.print(f"thresholds of {report.thresholds.first}: {cascade}", markup=False)


async def _asked(rows: Sequence[Row], policy: Policy, settings: Settings) -> tuple[list[Labelled], str]:
    """What the first grader answers; `FitError` where it fails, because thresholds of what is left would be others."""
    async with open_grader(settings) as grader:
        with progress() as bar:

            async def ask(tasks: Sequence[GradeTask]) -> list[tuple[Answer, ...]]:
                work = bar.add_task(f"grading with {grader.backend.identity}", total=len(tasks))
                answers: list[tuple[Answer, ...]] = []
                for start in range(0, len(tasks), _CHUNK):
                    graded = await grader.grade(tasks[start : start + _CHUNK])
                    answers += [_sound(one.answers) for one in graded]
                    bar.advance(work, len(graded))
                return answers

            return await first_logits(rows, policy, ask), grader.backend.identity


def _sound(answers: tuple[Answer, ...]) -> tuple[Answer, ...]:
    for answer in answers:
        if isinstance(answer, Unscorable) and answer.transient:
            raise FitError(f"the first grader failed ({answer.reason} {answer.detail}); fit again when it answers")
    return answers


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def _span(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}"
