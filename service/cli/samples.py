"""Samples of a file for `rbr score`, as lenient as the HTTP service: a bad value costs its row and no other.

A line that is not JSON or has not a row's shape is a fault of the file, and a `RowError`. NaN, lone surrogates, parts
that are no text and empty prompts are values: such a row has a reason for a result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from grader.grades import INVALID_TEXT
from models.errors import UnsupportedContent
from models.rows import Line, read_lines, row_of_line
from models.samples import Sample
from service.scoring.batches import Given
from service.scoring.problems import UNSUPPORTED_CONTENT, BadSample, Problem
from service.wire.parsing import clean_copy


def read_samples(path: Path) -> list[Given]:
    """One for each line that is not blank. Raises `RowError` with the file and the line."""
    return [_sample(line) for line in read_lines(path)]


def _sample(line: Line) -> Given:
    places: list[str] = []
    line = replace(line, value=clean_copy(line.value, "", places))
    sample = _read(line)
    if not places:
        return sample
    problem = Problem(INVALID_TEXT, "holds a lone surrogate, which is not text", places[0])
    return BadSample(problem, sample.id, sample.group, sample.prompt)


def _read(line: Line) -> Given:
    try:
        return _whole(line)
    except UnsupportedContent as fault:
        field = re.sub(r"\[(\d+)\]", r".\1", fault.field or "")
        problem = Problem(UNSUPPORTED_CONTENT, "only text can be graded", field)
        return _without_content(line, problem)


def _without_content(line: Line, problem: Problem) -> BadSample:
    """What else the row says still holds: the sample stands or falls with its group."""
    try:
        kept = _whole(line, completion="")
    except UnsupportedContent:
        kept = _whole(line, completion="", prompt="")
        named = isinstance(line.value, Mapping) and line.value.get("group") is not None
        return BadSample(problem, kept.id, kept.group if named else None)
    return BadSample(problem, kept.id, kept.group, kept.prompt)


def _whole(line: Line, **instead: Any) -> Sample:
    if instead and isinstance(line.value, Mapping):
        line = replace(line, value={**line.value, **instead})
    return row_of_line(line, strict=False).sample
