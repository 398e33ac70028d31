"""`drop_group`: where one completion of a group has no reward, none of the group has.

A trainer that compares completions within a group would otherwise compare against a hole.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from service.scoring.batches import Given
from service.scoring.problems import GROUP_DROPPED, Problem
from service.scoring.results import SampleResult

_DROPPED = Problem(GROUP_DROPPED, "another completion of the group has no reward")


class Groups:
    """Holds results back until their group is whole. A sample without a group belongs to its prompt's.

    Where not even the prompt could be read, no completion of it could be: such a sample is a group of its own.
    """

    def __init__(self, samples: Sequence[Given]) -> None:
        self._group_of: list[Hashable] = [group_of(sample, index) for index, sample in enumerate(samples)]
        self._missing: dict[Hashable, int] = {}
        for group in self._group_of:
            self._missing[group] = self._missing.get(group, 0) + 1
        self._held: dict[Hashable, list[SampleResult]] = {}

    def release(self, results: Sequence[SampleResult]) -> list[SampleResult]:
        """Take in these results; give out those whose groups are whole now."""
        released: list[SampleResult] = []
        for result in results:
            group = self._group_of[result.position]
            held = self._held.setdefault(group, [])
            held.append(result)
            self._missing[group] -= 1
            if self._missing[group] == 0:
                released += _dropped(self._held.pop(group))
        return released


def group_of(sample: Given, index: int) -> Hashable:
    """What the sample shares with those that stand or fall with it; ``index``: its own in the batch."""
    if sample.group is not None:
        return sample.group
    return sample.prompt if sample.prompt is not None else index


def _dropped(group: list[SampleResult]) -> list[SampleResult]:
    if all(result.valid for result in group):
        return group
    return [_drop(result) if result.valid else result for result in group]


def _drop(result: SampleResult) -> SampleResult:
    nothing = dict.fromkeys(result.components)
    return result._replace(valid=False, reward=None, problem=_DROPPED, components=nothing)
