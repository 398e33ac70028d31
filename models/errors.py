"""What can be wrong with what a person gives us.

    RBRError                    anything this project raises on purpose
    ├── PolicyError             a policy file that cannot be read or does not hold; carries every problem found
    ├── WeightsError            a weights file that cannot be read
    │   └── UnfittedWeights     weights that were not fitted to this policy's rules or to this grader
    ├── RowError                a line of a data file that is not a row
    │   └── UnsupportedContent  a row with a part that is no text, such as an image
    ├── FitError                comparisons from which no weights can be fitted
    └── EvaluationError         labels and answers from which nothing can be measured

Every message names the key, the value and the remedy. All of them pickle.
"""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong, and where: ``path`` is dotted (``completion_classes.ideal.comply``)."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class RBRError(Exception):
    """Base of every deliberate error; ``field`` names the input at fault where there is one."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message, field)
        self.message = message
        self.field = field

    def __str__(self) -> str:
        return self.message


class PolicyError(RBRError):
    """A policy cannot be used; ``problems`` lists everything found, not only the first."""

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        Exception.__init__(self, message, problems)
        self.message = message
        self.field = problems[0].path if problems else None
        self.problems = problems


class WeightsError(RBRError):
    """A weights file cannot be read."""


class UnfittedWeights(WeightsError):
    """The weights were fitted for other rules or another grader."""


class RowError(RBRError):
    """A line of a data file is not a row of the expected form."""


class UnsupportedContent(RowError):
    """A message holds a part that is no text."""


class FitError(RBRError):
    """No weights can be fitted from these comparisons."""


class EvaluationError(RBRError):
    """Nothing can be measured with these labels and answers."""
