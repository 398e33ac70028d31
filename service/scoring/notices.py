"""What a reply warns of: batches that can be scored and whose rewards may still mislead a trainer."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Final

import numpy as np

from models.reward import Snapshot, base_scale_warning, mixed_base_warning
from models.samples import Sample
from service.scoring.batches import Given
from service.scoring.groups import group_of

UNFITTED: Final = "the weights were not fitted to this policy and grader; rewards mean little"


def batch_warnings(snapshot: Snapshot, samples: Sequence[Given]) -> tuple[str, ...]:
    """Base rewards on another scale than the fit's, or sent with some samples and not with others."""
    built = [(index, sample) for index, sample in enumerate(samples) if isinstance(sample, Sample)]
    bases = [sample.base_reward for _, sample in built]
    absent = bases.count(None)
    warnings = []
    if absent < len(bases) and snapshot.weights.base_normaliser is not None:
        known_S = np.array([base for base in bases if base is not None and isfinite(base)])
        warnings.append(base_scale_warning(snapshot.weights, known_S))
    if 0 < absent < len(bases):
        groups = [group_of(sample, index) for index, sample in built]
        warnings.append(mixed_base_warning(snapshot.weights, [base is None for base in bases], groups))
    return tuple(warning for warning in warnings if warning is not None)
