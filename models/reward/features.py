"""From the probabilities of propositions to the features of a response type.

phi = [P(proposition) ..., P(completion class) ...] in the order of the policy's feature list. Knows no weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.policy.diagrams import Diagram
from models.policy.features import FeatureKind
from models.policy.response_types import ResponseType

Array = NDArray[np.float64]
Columns = NDArray[np.intp]


@dataclass(frozen=True)
class FeatureLayout:
    """Where each feature of a response type is found, compiled once.

    Feature ``proposition_features[i]`` is column ``proposition_columns[i]`` of p_S_P; likewise for classes and p_S_C.
    ``variable_columns``: the diagram's variables in p_S_P, whose columns are the response type's propositions in order.
    """

    names: tuple[str, ...]
    diagram: Diagram
    proposition_features: Columns
    proposition_columns: Columns
    class_features: Columns
    class_columns: Columns
    variable_columns: Columns

    def class_probabilities(self, p_S_P: Array) -> Array:
        """p_S_C, columns best first; NaN in every class that depends on a proposition that is NaN."""
        return self.diagram.probabilities(p_S_P[:, self.variable_columns])

    def features(self, p_S_P: Array, p_S_C: Array) -> Array:
        """phi_S_F; NaN where what a feature needs is NaN."""
        phi_S_F = np.empty((len(p_S_P), len(self.names)))
        phi_S_F[:, self.proposition_features] = p_S_P[:, self.proposition_columns]
        phi_S_F[:, self.class_features] = p_S_C[:, self.class_columns]
        return phi_S_F


def feature_layout(kind: ResponseType) -> FeatureLayout:
    """The layout of a response type's features. Columns of p_S_P are ``kind.propositions``."""
    position = {name: column for column, name in enumerate(kind.propositions)}
    class_position = {name: column for column, name in enumerate(kind.diagram.classes)}
    propositions = [i for i, feature in enumerate(kind.features) if feature.kind == FeatureKind.PROPOSITION]
    classes = [i for i, feature in enumerate(kind.features) if feature.kind == FeatureKind.CLASS]
    return FeatureLayout(
        names=tuple(feature.name for feature in kind.features),
        diagram=kind.diagram,
        proposition_features=_columns(propositions),
        proposition_columns=_columns([position[kind.features[i].name] for i in propositions]),
        class_features=_columns(classes),
        class_columns=_columns([class_position[kind.features[i].name] for i in classes]),
        variable_columns=_columns([position[name] for name in kind.diagram.variables]),
    )


def _columns(indices: list[int]) -> Columns:
    return np.array(indices, dtype=np.intp)
