"""Collects everything that is wrong with a policy file, each with its key path, its line and a remedy.

Schema libraries stop at types; a person who edits a policy wants unknown names, circles and overlaps in the same list.
"""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import TypeAlias

from models.errors import PolicyError, Problem

Path: TypeAlias = "tuple[str | int, ...]"

MAX_PROBLEMS = 100
_MAX_SUGGESTED_FROM = 1000  # names compared with a misspelt one, which takes microseconds each


class TooManyProblems(Exception):
    """The list is long enough; the rest of the file would not make it more useful."""


class Problems:
    """The list so far. ``lines`` says where in the file a key path stands."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.found: list[Problem] = []

    def __len__(self) -> int:
        return len(self.found)

    def add(self, path: Path, message: str) -> None:
        if len(self.found) == MAX_PROBLEMS:
            self.found.append(Problem("", f"there are more problems; these are the first {MAX_PROBLEMS}"))
            raise TooManyProblems
        line = self.lines.get(path)
        self.found.append(Problem(dotted(path), message if line is None else f"{message} (line {line})"))

    def unknown(self, path: Path, kind: str, name: str, known: Collection[str]) -> None:
        self.add(path, f"unknown {kind} {shortened(name)}{suggestion(name, known)}")

    def error(self, name: str) -> PolicyError:
        lines = [str(problem) for problem in self.found]
        if len(lines) == 1:
            return PolicyError(f"policy {name}: {lines[0]}", tuple(self.found))
        listed = "".join(f"\n  {line}" for line in lines)
        return PolicyError(f"policy {name} has {len(lines)} problems:{listed}", tuple(self.found))


def dotted(path: Path) -> str:
    """``("classes", 2, "x")`` -> ``classes[2].x``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def suggestion(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name[:100], list(known)[:_MAX_SUGGESTED_FROM], n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are: {shortened(', '.join(known), 200, quote=False)}" if known else "; there are none"


def shortened(value: object, length: int = 60, *, quote: bool = True) -> str:
    text = value if isinstance(value, str) else str(value)
    text = text if len(text) <= length else text[: length - 3] + "..."
    return repr(text) if quote else text
