"""Options that several commands share. Each is also a setting; what is not given stays as the environment has it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

GraderOption = Annotated[
    str | None,
    typer.Option(help="BACKEND[:WHERE], such as embedded or http:URL. [RBR_GRADER]", show_default="embedded"),
]
CascadeOption = Annotated[
    Path | None,
    typer.Option(help="Thresholds of the cascade that --grader A+B names, from `rbr distill --cascade`. [RBR_CASCADE]"),
]
PolicyOption = Annotated[
    str | None, typer.Option(help="A packaged policy's name or a file. [RBR_POLICY]", show_default="safety")
]
WeightsOption = Annotated[
    str | None, typer.Option(help="Packaged weights' name or a file. [RBR_WEIGHTS]", show_default="the packaged ones")
]
AllowUnfittedOption = Annotated[
    bool | None,
    typer.Option("--allow-unfitted", help="Use weights that were fitted to other rules or another grader."),
]
RedisOption = Annotated[str | None, typer.Option(help="Redis that caches grades. [RBR_REDIS_URL]")]
OutOption = Annotated[Path, typer.Option(help="The file to write; - is stdout (the summary goes to stderr then).")]
