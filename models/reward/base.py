"""Checks on the base reward that samples bring: whether it is there, and on the scale that the weights expect."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.reward.weights import RewardWeights

MISSING_BASE_REWARD: Final = "missing_base_reward"

_ENOUGH: Final = 32
_SHIFT: Final = 3.0
_RATIO: Final = 3.0


def mixed_base_warning(weights: RewardWeights, absent: Sequence[bool], groups: Sequence[Hashable]) -> str | None:
    """A warning where some samples brought a base reward and others none (``absent``), which then counts as 0.

    Within a group it is worse: the completions that a trainer compares are then judged by different rewards.
    ``groups``: each sample's. None where weights expect a base reward: there a sample without one is invalid.
    """
    if weights.expects_base or all(absent) or not any(absent):
        return None
    without = {group for group, lacks in zip(groups, absent, strict=True) if lacks}
    within = len({group for group, lacks in zip(groups, absent, strict=True) if not lacks} & without)
    said = f"{sum(absent)} of {len(absent)} samples have no base_reward, which counts as 0 beside the others'"
    return f"{said}; groups that hold both kinds, whose rewards cannot be compared: {within}" if within else said


def base_scale_warning(weights: RewardWeights, base_S: NDArray[np.float64]) -> str | None:
    """A warning where base rewards lie on another scale than those of the fit; None where all is well.

    Says nothing about fewer than 32 values, whose spread is mostly chance, nor where no scale was recorded.
    """
    known_S = base_S[~np.isnan(base_S)]
    fitted = weights.base_normaliser
    if fitted is None or fitted.spread == 0 or len(known_S) < _ENOUGH:
        return None
    with np.errstate(over="ignore", invalid="ignore"):  # finite values may add up to infinity, which is another scale
        mean, spread = float(known_S.mean()), float(known_S.std())
    shifted = abs(mean - fitted.mean) > _SHIFT * fitted.spread
    scaled = not fitted.spread / _RATIO <= spread <= fitted.spread * _RATIO
    if not (shifted or scaled):
        return None
    return (
        f"base rewards have mean {mean:.3g} and spread {spread:.3g}; the weights were fitted with mean "
        f"{fitted.mean:.3g} and spread {fitted.spread:.3g}, so rules and base are out of proportion: refit or rescale"
    )
