"""The proof that a response type's classes are mutually exclusive and exhaustive, or the assignment that refutes it.

Counts truth assignments exactly (Python integers: 2**200 is no trouble) by walking the diagram, never by enumeration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from models.policy.evaluation import Graph


@dataclass(frozen=True)
class Counterexample:
    """``assignment`` names every proposition; ``decisive`` is the part of it that alone forces ``classes`` to hold."""

    assignment: Mapping[str, bool]
    decisive: Mapping[str, bool]
    classes: tuple[str, ...]

    def __str__(self) -> str:
        said = [f"{name} is {str(value).lower()}" for name, value in self.decisive.items()]
        return ", ".join(said) or "anything is answered"


@dataclass(frozen=True)
class Coverage:
    """Of the ``assignments`` (2 ** propositions), how many fall in two or more classes and how many in none.

    ``overlap`` and ``gap`` are one of each where there are any; ``never`` lists classes that no assignment falls in.
    """

    assignments: int
    overlaps: int
    gaps: int
    overlap: Counterexample | None = None
    gap: Counterexample | None = None
    never: tuple[str, ...] = ()

    @property
    def partition(self) -> bool:
        return self.overlaps == 0 and self.gaps == 0

    @property
    def counterexample(self) -> Mapping[str, bool] | None:
        found = self.overlap or self.gap
        return found.assignment if found else None


def prove(graph: Graph, variables: tuple[str, ...], classes: tuple[str, ...]) -> Coverage:
    """Count overlaps and gaps; ``variables`` and ``classes`` name the columns and the bits of the graph."""
    return Coverage(
        assignments=1 << len(variables),
        overlaps=_count(graph, _overlaps),
        gaps=_count(graph, _is_gap),
        overlap=_find(graph, _overlaps, variables, classes),
        gap=_find(graph, _is_gap, variables, classes),
        never=tuple(name for c, name in enumerate(classes) if not any(mask >> c & 1 for mask in graph.terminals)),
    )


def _overlaps(mask: int) -> bool:
    return mask.bit_count() > 1


def _is_gap(mask: int) -> bool:
    return mask == 0


def _count(graph: Graph, wanted: Callable[[int], bool]) -> int:
    """Assignments that lead to a wanted terminal; a variable that is skipped on the way doubles them."""
    depth = len(graph.columns)
    level = [depth] * len(graph.terminals) + list(graph.level)
    count = [int(wanted(mask)) for mask in graph.terminals]
    for here, low, high in zip(graph.level, graph.low, graph.high, strict=True):
        count.append(sum(count[child] << (level[child] - here - 1) for child in (low, high)))
    return count[-1] << level[-1]


def _find(
    graph: Graph, wanted: Callable[[int], bool], variables: tuple[str, ...], classes: tuple[str, ...]
) -> Counterexample | None:
    path = _shortest_path(graph, wanted)
    if path is None:
        return None
    (terminal,) = _terminals_under(graph, path)
    decisive = dict(path)
    for column in path:
        fewer = {other: value for other, value in decisive.items() if other != column}
        if _terminals_under(graph, fewer) == {terminal}:
            decisive = fewer
    held = graph.terminals[terminal]
    return Counterexample(
        assignment={name: decisive.get(column, False) for column, name in enumerate(variables)},
        decisive={variables[column]: decisive[column] for column in sorted(decisive)},
        classes=tuple(name for c, name in enumerate(classes) if held >> c & 1),
    )


def _shortest_path(graph: Graph, wanted: Callable[[int], bool]) -> dict[int, bool] | None:
    """Column -> answer along the path from the root to a wanted terminal that asks least."""
    endless = graph.size + 1
    steps = [0 if wanted(mask) else endless for mask in graph.terminals]
    for low, high in zip(graph.low, graph.high, strict=True):
        steps.append(1 + min(steps[low], steps[high]))
    if steps[-1] >= endless:
        return None
    path: dict[int, bool] = {}
    first, here = len(graph.terminals), graph.size - 1
    while here >= first:
        inner = here - first
        low, high = graph.low[inner], graph.high[inner]
        answer = steps[high] < steps[low]
        path[graph.columns[graph.level[inner]]] = answer
        here = high if answer else low
    return path


def _terminals_under(graph: Graph, fixed: Mapping[int, bool]) -> set[int]:
    """Every terminal that can be reached while the ``fixed`` columns keep their answers."""
    first = len(graph.terminals)
    seen: set[int] = set()
    waiting = [graph.size - 1]
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        seen.add(here)
        if here >= first:
            inner = here - first
            answer = fixed.get(graph.columns[graph.level[inner]])
            waiting += [graph.low[inner]] if answer is not True else []
            waiting += [graph.high[inner]] if answer is not False else []
    return {here for here in seen if here < first}
