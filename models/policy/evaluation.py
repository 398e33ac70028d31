"""Evaluates a decision diagram on many samples at once, a level of the diagram at a time.

With independent propositions the probability at a node is ``(1 - p) low + p high``, so that one pass from the terminals
to the root gives every class's probability exactly, in time linear in the nodes. Knows no names and no rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Index: TypeAlias = "int | NDArray[np.intp]"

# Values held at once (8 bytes each): bounds memory and keeps a large batch inside the processor's cache.
_WORKING_VALUES = 1 << 18


class Layer(NamedTuple):
    """The nodes that test one proposition: ``nodes`` are consecutive, ``low`` and ``high`` are where each leads."""

    column: int
    nodes: slice | int
    low: Index
    high: Index


@dataclass(frozen=True)
class Graph:
    """A diagram as numbers. Nodes are numbered terminals first, then inner nodes, children before parents, root last.

    ``terminals``: bit c is set where class c holds. ``level``, ``low``, ``high``: one entry an inner node.
    ``columns``: level -> column of the caller's arrays. ``support``: per class, the columns its truth depends on.
    """

    terminals: tuple[int, ...]
    level: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]
    columns: tuple[int, ...]
    support: tuple[frozenset[int], ...]

    @property
    def size(self) -> int:
        return len(self.terminals) + len(self.level)

    def probabilities(self, p_S_P: Floats) -> Floats:
        """Of each class (S x C). NaN where the class depends on a proposition that is NaN."""
        p_S_P, unknown_S_C = self._known(p_S_P)
        p_S_C = np.empty((len(p_S_P), len(self.support)))
        for rows in self._chunks(len(p_S_P)):
            p_P_S = np.ascontiguousarray(p_S_P[rows].T)
            p_S_C[rows] = self._values(p_P_S)[-1].T
        if unknown_S_C is not None:
            p_S_C[unknown_S_C] = np.nan
        return p_S_C

    def gradients(self, p_S_P: Floats) -> Floats:
        """dP_c / dp_i (S x C x P): the chance of reaching a node that tests i, times what its answer changes there."""
        p_S_P, unknown_S_C = self._known(p_S_P)
        gradient_S_C_P = np.zeros((len(p_S_P), len(self.support), len(self.columns)))
        for rows in self._chunks(len(p_S_P)):
            p_P_S = np.ascontiguousarray(p_S_P[rows].T)
            value_N_C_S = self._values(p_P_S)
            reach_N_S = np.zeros((self.size, p_P_S.shape[1]))
            reach_N_S[-1] = 1.0
            for column, nodes, low, high in reversed(self._layers):
                reach_n_S = np.atleast_2d(reach_N_S[nodes])
                change_n_C_S = (value_N_C_S[high] - value_N_C_S[low]).reshape(len(reach_n_S), len(self.support), -1)
                gradient_S_C_P[rows, :, column] = np.einsum("ns,ncs->sc", reach_n_S, change_n_C_S)
                to_high_n_S = reach_n_S * p_P_S[column]
                np.add.at(reach_N_S, np.atleast_1d(high), to_high_n_S)
                np.add.at(reach_N_S, np.atleast_1d(low), reach_n_S - to_high_n_S)
        if unknown_S_C is not None:
            gradient_S_C_P[unknown_S_C] = np.nan
        return gradient_S_C_P

    def follow(self, truth_S_P: NDArray[np.bool_]) -> NDArray[np.intp]:
        """The terminal that each row of truth values leads to (S)."""
        here_S = np.full(len(truth_S_P), self.size - 1, dtype=np.intp)
        rows_S = np.arange(len(truth_S_P))
        column_N, low_N, high_N = self._walk
        for _ in range(len(self._layers)):
            here_S = np.where(truth_S_P[rows_S, column_N[here_S]], high_N[here_S], low_N[here_S])
        return here_S

    def _values(self, p_P_S: Floats) -> Floats:
        """Of each class at each node (N x C x S), terminals to root."""
        value_N_C_S = np.empty((self.size, len(self.support), p_P_S.shape[1]))
        value_N_C_S[: len(self.terminals)] = self._holds_T_C_1
        for column, nodes, low, high in self._layers:
            low_n_C_S, value_n_C_S = value_N_C_S[low], value_N_C_S[nodes]
            np.subtract(value_N_C_S[high], low_n_C_S, out=value_n_C_S)
            value_n_C_S *= p_P_S[column]
            value_n_C_S += low_n_C_S
        return value_N_C_S

    def _known(self, p_S_P: Floats) -> tuple[Floats, NDArray[np.bool_] | None]:
        """The probabilities with NaN replaced by anything finite, and which classes that leaves unknown."""
        missing_S_P = np.isnan(p_S_P)
        if not missing_S_P.any():
            return p_S_P, None
        return np.where(missing_S_P, 0.5, p_S_P), missing_S_P @ self._supports_P_C

    def _chunks(self, samples: int) -> list[slice]:
        step = max(1, _WORKING_VALUES // (self.size * max(1, len(self.support))))
        return [slice(start, start + step) for start in range(0, samples, step)]

    @cached_property
    def _layers(self) -> tuple[Layer, ...]:
        """Deepest first, so that children are known before their parents."""
        first = len(self.terminals)
        layers = []
        for level, group in groupby(range(len(self.level)), key=self.level.__getitem__):
            inner = list(group)
            low, high = [self.low[i] for i in inner], [self.high[i] for i in inner]
            column = self.columns[level]
            if len(inner) == 1:  # an integer index is a view: no copy on the long chains that conjunctions are
                layers.append(Layer(column, first + inner[0], low[0], high[0]))
            else:
                nodes = slice(first + inner[0], first + inner[-1] + 1)
                layers.append(Layer(column, nodes, np.array(low, np.intp), np.array(high, np.intp)))
        return tuple(layers)

    @cached_property
    def _walk(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Column, low and high of every node; a terminal leads to itself."""
        terminals = range(len(self.terminals))
        columns = [0] * len(terminals) + [self.columns[level] for level in self.level]
        low, high = [*terminals, *self.low], [*terminals, *self.high]
        return np.array(columns, np.intp), np.array(low, np.intp), np.array(high, np.intp)

    @cached_property
    def _holds_T_C_1(self) -> Floats:
        classes = range(len(self.support))
        return np.array([[[float(mask >> c & 1)] for c in classes] for mask in self.terminals])

    @cached_property
    def _supports_P_C(self) -> NDArray[np.bool_]:
        return np.array([[i in columns for columns in self.support] for i in range(len(self.columns))], dtype=np.bool_)
