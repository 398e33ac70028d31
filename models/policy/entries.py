"""A value of the policy file together with its key path: typed reading that notes what is wrong and goes on."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from models.policy.problems import Path, Problems, shortened, suggestion

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Entry:
    """Each reader returns None (or nothing, for a collection) after noting that the value is of another type."""

    value: object
    path: Path
    problems: Problems

    def fail(self, message: str) -> None:
        self.problems.add(self.path, message)

    def expected(self, what: str) -> None:
        self.fail(f"expected {what}, found {described(self.value)}")

    def mapping(self, keys: Collection[str] | None = None, what: str = "a mapping") -> dict[str, Entry]:
        """Its entries by key; with ``keys`` given, any other key is a problem."""
        if not isinstance(self.value, dict):
            self.expected(what)
            return {}
        entries = {key: Entry(value, (*self.path, key), self.problems) for key, value in self.value.items()}
        for key, entry in entries.items():
            if keys is not None and key not in keys:
                entry.fail(f"unknown key{suggestion(key, keys)}")
            elif key != key.strip() or not key.isprintable() or not key:
                entry.fail("a name must not be empty, begin or end with a space, or hold control characters")
        return entries

    def items(self, what: str = "a list") -> list[Entry]:
        if not isinstance(self.value, list):
            self.expected(what)
            return []
        return [Entry(value, (*self.path, i), self.problems) for i, value in enumerate(self.value)]

    def text(self) -> str | None:
        if isinstance(self.value, str) and self.value.strip():
            return self.value
        self.expected("text")
        return None

    def boolean(self) -> bool | None:
        if isinstance(self.value, bool):
            return self.value
        self.expected("true or false")
        return None

    def number(self) -> float | None:
        if isinstance(self.value, int | float) and not isinstance(self.value, bool):
            number = _float(self.value)
            if math.isfinite(number):
                return number
        self.expected("a finite number")
        return None

    def choice(self, choices: type[Choice]) -> Choice | None:
        for choice in choices:
            if self.value == choice.value:
                return choice
        self.expected("one of " + ", ".join(choices))
        return None


def described(value: object) -> str:
    """How a message names a value that is not what was expected."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return shortened(value) if value.strip() else "empty text"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return shortened(value, quote=False)


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
