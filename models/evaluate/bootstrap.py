"""The grouped bootstrap: how far a figure would move on another draw of prompts.

Prompts are drawn with replacement and all rows of a prompt come along, because completions of one prompt resemble each
other. The same seed gives the same resamples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.evaluate.judgements import Array

LEVEL: Final = 0.95
LEAST_DEFINED: Final = 0.9
_NUMBERS_AT_ONCE: Final = 2_000_000  # resamples x rows, 16 MB


class Figure(NamedTuple):
    """``value`` with its interval (``low``, ``high``). None: undefined, or too few rows of a label to say."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Resampling:
    """``group_S``: the prompt of each row, numbered from 0. Raising ``resamples`` steadies intervals and p-values."""

    group_S: NDArray[np.intp]
    resamples: int = 2000
    seed: int = 0

    @property
    def groups(self) -> int:
        return int(self.group_S.max()) + 1 if len(self.group_S) else 0

    def counts(self) -> Iterator[Array]:
        """How often each row is drawn, in blocks of resamples (B x S)."""
        rng = np.random.default_rng(self.seed)
        block = max(1, _NUMBERS_AT_ONCE // max(1, len(self.group_S)))
        share_G = np.full(self.groups, 1 / max(1, self.groups))
        for start in range(0, self.resamples, block):
            drawn_B_G = rng.multinomial(self.groups, share_G, size=min(block, self.resamples - start))
            yield drawn_B_G[:, self.group_S].astype(np.float64)


def figure(value: float, resampled_B: Array) -> Figure:
    """A value and the percentiles of its resamples.

    A resample without a positive row has no AUROC. Where that happens to more than a tenth of them, the rest are no
    fair picture of the doubt, and there is no interval.
    """
    if not np.isfinite(value):
        return Figure(None)
    defined_B = resampled_B[np.isfinite(resampled_B)]
    if not len(defined_B) or len(defined_B) < LEAST_DEFINED * len(resampled_B):
        return Figure(float(value))
    low, high = np.quantile(defined_B, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(float(value), float(low), float(high))


def mean_of_defined(values_P_B: Array) -> Array:
    """The mean over propositions (first axis) of what is defined; NaN where nothing is."""
    defined_P_B = np.isfinite(values_P_B)
    totals_B = np.where(defined_P_B, values_P_B, 0.0).sum(axis=0)
    counts_B = defined_P_B.sum(axis=0)
    return np.where(counts_B > 0, totals_B / np.maximum(counts_B, 1), np.nan)
