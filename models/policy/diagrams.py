"""Completion-class rules as decision diagrams: compiled once, then exact probabilities, gradients and a proof.

A class is a conjunction of conditions on propositions, simple or derived (a derived proposition is a conjunction too,
so its negation is a disjunction). All classes of a response type become one reduced ordered diagram whose terminals say
which classes hold: one class everywhere is a partition, two an overlap, none a gap. Knows no questions, grades or
weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.digests import fingerprint
from models.errors import PolicyError
from models.policy.completion_classes import CompletionClass
from models.policy.coverage import Coverage, prove
from models.policy.evaluation import Floats, Graph
from models.policy.node_table import NodeTable, Ref, TooManyNodes
from models.policy.product_form import ProductForm, product_form
from models.policy.propositions import Condition, DerivedProposition

COMFORTABLE_NODES = 10_000  # OpenAI's policy needs tens
MAX_NODES = 100_000  # a second or two to compile
MAX_VARIABLES = 400  # compilation recurses once a variable


class ProbabilityForm(StrEnum):
    """How class probabilities follow from those of propositions: exactly, or as the paper approximates them."""

    EXACT = "exact"
    PRODUCT = "product"


@dataclass(frozen=True)
class Diagram:
    """``variables`` are the propositions that the rules reach: the columns P of every array, in the policy's order.
    ``classes`` are the columns C, best first. Arrays have a row a sample (S).

    >>> polite = CompletionClass("good", 0, (Condition("polite", True),))
    >>> rude = CompletionClass("bad", 1, (Condition("polite", False),))
    >>> compile_diagram([polite, rude], {}, ["polite"]).probabilities([[0.75]])
    array([[0.75, 0.25]])
    """

    variables: tuple[str, ...]
    classes: tuple[str, ...]
    graph: Graph
    products: ProductForm
    form: ProbabilityForm = ProbabilityForm.EXACT

    def probabilities(self, p_S_P: ArrayLike) -> Floats:
        """P(class holds), S x C: exact for independent propositions, and summing to 1 where the classes partition.

        NaN means "not graded": it makes NaN of exactly those classes whose truth depends on that proposition.
        With ``form`` product it is `product_form` instead.
        """
        return self._evaluator.probabilities(self._checked(np.asarray(p_S_P, np.float64)))

    def gradients(self, p_S_P: ArrayLike) -> Floats:
        """dP_c / dp_i of `probabilities`, S x C x P, exact; NaN for every i where the class's probability is NaN."""
        return self._evaluator.gradients(self._checked(np.asarray(p_S_P, np.float64)))

    def product_form(self, p_S_P: ArrayLike) -> Floats:
        """The paper's approximation of `probabilities`, S x C, rows normalised to 1; any NaN makes a row NaN."""
        return self.products.probabilities(self._checked(np.asarray(p_S_P, np.float64)))

    def classify(self, truth_S_P: ArrayLike) -> NDArray[np.intp]:
        """The index of the class that holds for each row of truth values (S); -1 where not exactly one does."""
        rows_S_P = self._checked(np.asarray(truth_S_P, np.bool_))
        single_T = [mask.bit_length() - 1 if mask.bit_count() == 1 else -1 for mask in self.graph.terminals]
        return np.array(single_T, np.intp)[self.graph.follow(rows_S_P)]

    def coverage(self) -> Coverage:
        """The proof that the classes partition the truth assignments, or what refutes it."""
        return self._coverage

    def depends_on(self, class_name: str) -> tuple[str, ...]:
        """The propositions that can change the class's probability; fewer than its rule names, if some cancel out."""
        if self.form is ProbabilityForm.PRODUCT:
            return self.variables  # by way of the normalisation
        columns = self.graph.support[self.classes.index(class_name)]
        return tuple(name for i, name in enumerate(self.variables) if i in columns)

    @property
    def size(self) -> int:
        """Nodes, terminals included."""
        return self.graph.size

    @cached_property
    def fingerprint(self) -> str:
        """Of what the rules mean, not of how they are put: splitting a rule into derived propositions keeps it.

        The product form depends on how they are put, and so does its fingerprint.
        """
        graph = self.graph
        shape = [graph.terminals, graph.level, graph.low, graph.high, graph.columns]
        literals = self.products.products if self.form is ProbabilityForm.PRODUCT else ()
        return fingerprint("diagram", self.variables, self.classes, shape, literals)

    @property
    def _evaluator(self) -> Graph | ProductForm:
        return self.products if self.form is ProbabilityForm.PRODUCT else self.graph

    @cached_property
    def _coverage(self) -> Coverage:
        return prove(self.graph, self.variables, self.classes)

    def _checked(self, values_S_P: NDArray[Any]) -> NDArray[Any]:
        if values_S_P.shape[1:] != (len(self.variables),):
            raise ValueError(f"expected shape (samples, {len(self.variables)}), found {values_S_P.shape}")
        return values_S_P


def compile_diagram(
    classes: Sequence[CompletionClass],
    derived: Mapping[str, DerivedProposition],
    variables: Sequence[str],
    form: ProbabilityForm = ProbabilityForm.EXACT,
) -> Diagram:
    """Compile one response type's rules. ``variables`` is the policy's order; those that no rule reaches are dropped.

    Raises PolicyError for a condition on an unknown name, a circular definition, and rules too entangled to compile.
    """
    used = _sorted_derived(classes, derived)
    mentioned = _mentioned(classes, derived)
    columns = tuple(name for name in variables if name in set(mentioned))
    if unknown := [name for name in mentioned if name not in set(columns)]:
        raise PolicyError(f"unknown proposition {unknown[0]!r}; the propositions are {', '.join(variables)}")
    if len(columns) > MAX_VARIABLES:
        raise PolicyError(f"{len(columns)} propositions in one response type; at most {MAX_VARIABLES} can be compiled")
    graph = _first_to_fit(classes, used, columns, mentioned)
    names = tuple(each.name for each in classes)
    return Diagram(columns, names, graph, product_form(classes, used, columns), form)


def _first_to_fit(
    classes: Sequence[CompletionClass],
    derived: Sequence[DerivedProposition],
    columns: tuple[str, ...],
    mentioned: tuple[str, ...],
) -> Graph:
    """The policy's order gives a form that depends on meaning alone; the order of the rules can be far smaller."""
    for order, limit in [(columns, COMFORTABLE_NODES), (mentioned, MAX_NODES), (columns, MAX_NODES)]:
        graph = _graph(classes, derived, columns, order, limit)
        if graph is not None:
            return graph
    raise PolicyError(
        f"the rules are too entangled: their decision diagram takes more than {MAX_NODES:,} nodes; list propositions "
        "that are used together next to each other, or use fewer"
    )


def _graph(
    classes: Sequence[CompletionClass],
    derived: Sequence[DerivedProposition],
    columns: tuple[str, ...],
    order: Sequence[str],
    max_nodes: int,
) -> Graph | None:
    """The diagram that tests propositions in ``order``, or None where that takes too many nodes."""
    table = NodeTable(len(order), max_nodes)
    meaning = {name: table.variable(level) for level, name in enumerate(order)}

    def conjunction(rule: tuple[Condition, ...]) -> Ref:
        known = [(meaning[condition.proposition], condition.value) for condition in rule]
        return table.conjunction(ref if value else table.negation(ref) for ref, value in known)

    try:
        for each in derived:
            meaning[each.name] = conjunction(each.rule)
        holds = [conjunction(each.rule) for each in classes]
        masks = [table.conjunction([ref, table.constant(1 << c)]) for c, ref in enumerate(holds)]
        root = table.disjunction(masks)
    except TooManyNodes:
        return None
    position = {name: column for column, name in enumerate(columns)}
    return _extract(table, root, holds, [position[name] for name in order])


def _extract(table: NodeTable, root: Ref, holds: Sequence[Ref], columns: Sequence[int]) -> Graph:
    """Number what the root reaches: terminals by value, then inner nodes deepest first, ties as first reached."""
    reached = table.reachable(root)
    terminals = sorted((r for r in reached if table.nodes[r].level == table.levels), key=lambda r: table.nodes[r].value)
    inner = sorted((r for r in reached if table.nodes[r].level < table.levels), key=lambda r: -table.nodes[r].level)
    number = {ref: i for i, ref in enumerate([*terminals, *inner])}
    nodes = [table.nodes[ref] for ref in inner]
    tested = [{table.nodes[ref].level for ref in table.reachable(held)} - {table.levels} for held in holds]
    return Graph(
        terminals=tuple(table.nodes[ref].value for ref in terminals),
        level=tuple(node.level for node in nodes),
        low=tuple(number[node.low] for node in nodes),
        high=tuple(number[node.high] for node in nodes),
        columns=tuple(columns),
        support=tuple(frozenset(columns[level] for level in levels) for levels in tested),
    )


def _sorted_derived(
    classes: Sequence[CompletionClass], derived: Mapping[str, DerivedProposition]
) -> list[DerivedProposition]:
    """The derived propositions that the classes reach, each after those it uses."""
    uses: dict[str, list[str]] = {}
    waiting = [condition.proposition for each in classes for condition in each.rule]
    while waiting:
        name = waiting.pop()
        if name in derived and name not in uses:
            uses[name] = [c.proposition for c in derived[name].rule if c.proposition in derived]
            waiting += uses[name]
    try:
        return [derived[name] for name in TopologicalSorter(uses).static_order()]
    except CycleError as error:
        raise PolicyError(f"derived propositions in a circle: {' -> '.join(reversed(error.args[1]))}") from None


def _mentioned(classes: Sequence[CompletionClass], derived: Mapping[str, DerivedProposition]) -> tuple[str, ...]:
    """Simple propositions in the order in which reading the rules, derived ones spelled out, comes upon them."""
    seen: dict[str, None] = {}
    waiting = [condition.proposition for each in reversed(classes) for condition in reversed(each.rule)]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen[name] = None
            waiting += [c.proposition for c in reversed(derived[name].rule)] if name in derived else []
    return tuple(name for name in seen if name not in derived)
