"""From grades to rule-based rewards and, with base rewards and costs, to combined ones: the arithmetic of a batch.

All samples of a call are of one response type; nothing here loops over samples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.reward.combination import Combined, Parts
from models.reward.snapshot import Snapshot

Array = NDArray[np.float64]


class RuleScores(NamedTuple):
    """What the rules say, a row a sample (S). NaN is "not known, because something it needs was not graded".

    ``p_S_P``: calibrated P(yes), columns ``response_types[rt].propositions``. ``p_S_C``: class probabilities, best
    first. ``class_index_S``: the likeliest, the better of equals; -1 where any class is NaN. ``rbr_S``: sum of
    ``contributions_S_F``, plus the offset; features of weight 0 contribute exactly 0.
    """

    p_S_P: Array
    p_S_C: Array
    class_index_S: NDArray[np.intp]
    rbr_S: Array
    contributions_S_F: Array


def score_rules(snapshot: Snapshot, response_type: str, logits_S_P: Array) -> RuleScores:
    """Rule-based rewards of samples of one response type: rbr = w . phi + offset (Mu et al. 2024).

    ``logits_S_P``: log P(yes) - log P(no) in nats, columns ``response_types[rt].propositions``, NaN where not graded.
    KeyError for a response type that the policy has not.
    """
    kind = snapshot.response_types[response_type]
    lines = kind.calibration
    p_S_P = np.asarray(expit(logits_S_P if lines is None else logits_S_P * lines.slope_P + lines.intercept_P))
    p_S_C = kind.layout.class_probabilities(p_S_P)
    contributions_S_F = kind.layout.features(p_S_P, p_S_C) * kind.weights_F
    contributions_S_F[:, kind.unused_features] = 0.0
    rbr_S = contributions_S_F.sum(axis=1) + kind.offset
    return RuleScores(p_S_P, p_S_C, _likeliest(p_S_C), rbr_S, contributions_S_F)


def combine(snapshot: Snapshot, parts: Parts) -> Combined:
    """Combined rewards by the policy's rule; samples of several response types may stand side by side.

    A sample to which no rules apply has ``rbr_S`` 0. Here a missing base reward counts as 0: the
    caller refuses samples without one where the weights expect it.
    """
    return snapshot.combination.combine(parts)


def _likeliest(p_S_C: Array) -> NDArray[np.intp]:
    index_S: NDArray[np.intp] = np.argmax(p_S_C, axis=1)
    index_S[np.isnan(p_S_C).any(axis=1)] = -1
    return index_S
