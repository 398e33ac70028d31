"""Hash-consed decision nodes: the algebra that rules are compiled with.

Functions of ordered boolean variables whose values are integers, combined bit by bit: ``-1`` (all bits) is true, ``0``
is false, and one bit a completion class makes "which classes hold" a single function. Equal functions are one node, so
comparing two functions is comparing two numbers (Bryant 1986). Knows no propositions, only levels; no names, no numpy.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from functools import reduce
from typing import NamedTuple, TypeAlias

Ref: TypeAlias = int
Operation: TypeAlias = Callable[[int, int], int]

TRUE = -1
FALSE = 0


class TooManyNodes(Exception):
    """The functions asked for need more nodes or more work than was allowed."""


class Node(NamedTuple):
    """Tests the variable of ``level``, then goes to ``low`` (it is false) or ``high``. A terminal has no children."""

    level: int
    low: Ref
    high: Ref
    value: int = 0


class NodeTable:
    """All nodes of one compilation. ``levels`` is the number of variables; terminals lie below the last of them."""

    def __init__(self, levels: int, max_nodes: int) -> None:
        self.levels = levels
        self.nodes: list[Node] = []
        self._refs: dict[Node, Ref] = {}
        self._combined: dict[tuple[Operation, Ref, Ref], Ref] = {}
        self._max_nodes = max_nodes
        # A memo entry is a tenth of a node's worth of patience: some products are long to find and small when found.
        self._max_steps = 10 * max_nodes
        self.true = self.constant(TRUE)
        self.false = self.constant(FALSE)

    def constant(self, value: int) -> Ref:
        return self._intern(Node(self.levels, -1, -1, value))

    def variable(self, level: int) -> Ref:
        return self._node(level, self.false, self.true)

    def negation(self, function: Ref) -> Ref:
        return self._combine(operator.xor, function, self.true)

    def conjunction(self, functions: Iterable[Ref]) -> Ref:
        return self._fold(operator.and_, functions, self.true)

    def disjunction(self, functions: Iterable[Ref]) -> Ref:
        return self._fold(operator.or_, functions, self.false)

    def reachable(self, root: Ref) -> list[Ref]:
        """Every node under ``root``, in an order that depends on the function alone (preorder, low first)."""
        seen: dict[Ref, None] = {}
        waiting = [root]
        while waiting:
            ref = waiting.pop()
            if ref in seen:
                continue
            seen[ref] = None
            node = self.nodes[ref]
            if node.level < self.levels:
                waiting += [node.high, node.low]
        return list(seen)

    def _fold(self, operation: Operation, functions: Iterable[Ref], unit: Ref) -> Ref:
        # Deepest first: a long conjunction then grows at the top, one node a literal, instead of being rebuilt.
        deepest_first = sorted(functions, key=lambda ref: -self.nodes[ref].level)
        return reduce(lambda left, right: self._combine(operation, left, right), deepest_first, unit)

    def _combine(self, operation: Operation, left: Ref, right: Ref) -> Ref:
        if left > right:
            left, right = right, left  # all three operations commute
        key = (operation, left, right)
        known = self._combined.get(key)
        if known is not None:
            return known
        if len(self._combined) >= self._max_steps:
            raise TooManyNodes
        a, b = self.nodes[left], self.nodes[right]
        level = min(a.level, b.level)
        if level == self.levels:
            result = self.constant(operation(a.value, b.value))
        else:
            a_low, a_high = (a.low, a.high) if a.level == level else (left, left)
            b_low, b_high = (b.low, b.high) if b.level == level else (right, right)
            low = self._combine(operation, a_low, b_low)
            result = self._node(level, low, self._combine(operation, a_high, b_high))
        self._combined[key] = result
        return result

    def _node(self, level: int, low: Ref, high: Ref) -> Ref:
        return low if low == high else self._intern(Node(level, low, high))

    def _intern(self, node: Node) -> Ref:
        ref = self._refs.get(node)
        if ref is None:
            if len(self.nodes) >= self._max_nodes:
                raise TooManyNodes
            ref = self._refs[node] = len(self.nodes)
            self.nodes.append(node)
        return ref
