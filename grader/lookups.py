"""One task of a call on its way through the chain: what has been answered, what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from grader.cache.base import Wanted
from grader.grades import Answer, Grade
from grader.tasks import GradeTask


class Lookup:
    """``index`` is the task's place in its call; ``cached`` counts the answers that came out of a cache."""

    __slots__ = ("_found", "_unique", "cached", "fields", "index", "key", "task")

    def __init__(self, index: int, task: GradeTask, key: bytes, fields: tuple[bytes, ...]) -> None:
        self.index = index
        self.task = task
        self.key = key
        self.fields = fields
        self.cached = 0
        self._found: dict[bytes, Answer] = {}
        self._unique = len(set(fields))

    @property
    def complete(self) -> bool:
        return len(self._found) == self._unique

    def missing(self) -> list[bytes]:
        return [field for field in dict.fromkeys(self.fields) if field not in self._found]

    def wanted(self) -> Wanted:
        return Wanted(self.key, self.missing())

    def recall(self, values: Mapping[bytes, Grade]) -> None:
        """Take what a cache has of the missing fields."""
        for field in self.fields:
            if field not in self._found and field in values:
                self._found[field] = values[field]
                self.cached += 1

    def answer(self, answers: Mapping[bytes, Answer]) -> bool:
        """Take fresh answers; whether they have just completed the task."""
        was_complete = self.complete
        for field in self.missing():
            if field in answers:
                self._found[field] = answers[field]
        return self.complete and not was_complete

    def give_up(self, answer: Answer) -> None:
        """Answer all that is missing with the same."""
        for field in self.missing():
            self._found[field] = answer

    def subtask(self, fields: Sequence[bytes]) -> GradeTask:
        """The task with the propositions of these fields alone."""
        if len(fields) == len(self.fields):
            return self.task
        by_field = dict(zip(self.fields, self.task.propositions, strict=True))
        return replace(self.task, propositions=tuple(by_field[field] for field in fields))

    def answers(self) -> tuple[Answer, ...]:
        """Aligned with the task's propositions; only when complete."""
        return tuple([self._found[field] for field in self.fields])
