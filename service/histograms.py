"""Histograms and counters that take whole arrays.

prometheus_client observes one value at a time, a microsecond each; a batch of 64 samples with 17 propositions would
spend more on that than on scoring. Not thread-safe: they belong to the event loop that serves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

Labels: TypeAlias = tuple[str, ...]


class HistogramTable:
    """Histograms by label values. ``buckets``: upper bounds, ascending, infinity left out."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], buckets: Sequence[float]) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = list(labels)
        self._bounds_B = np.asarray(buckets, dtype=np.float64)
        self._names = [*(repr(float(bound)) for bound in buckets), "+Inf"]
        self._counts: dict[Labels, NDArray[np.int64]] = {}
        self._sums: dict[Labels, float] = {}

    def add(self, labels: Sequence[Labels], values_S_L: NDArray[np.float64]) -> None:
        """A column for each entry of ``labels``; NaN is no observation."""
        bins = len(self._names)
        places_S_L = np.searchsorted(self._bounds_B, values_S_L, side="left")
        known_S_L = ~np.isnan(values_S_L)
        flat = (places_S_L + np.arange(len(labels)) * bins)[known_S_L]
        counts_L_B = np.bincount(flat, minlength=len(labels) * bins).reshape(len(labels), bins)
        with np.errstate(over="ignore", invalid="ignore"):  # finite values may add up to infinity
            sums_L = np.where(known_S_L, values_S_L, 0.0).sum(axis=0).tolist()
        for key, counts_B, total in zip(labels, counts_L_B, sums_L, strict=True):
            if key in self._counts:
                self._counts[key] += counts_B
                self._sums[key] += total
            else:
                self._counts[key] = counts_B.copy()
                self._sums[key] = total

    def families(self) -> list[Metric]:
        """The histogram; where values can be negative, a gauge ``..._running_sum`` stands in for its sum.

        A histogram's sum has to grow: OpenMetrics leaves it out where there are negative buckets. The mean over a time
        is then ``delta(x_running_sum[5m]) / increase(x_count[5m])``.
        """
        histogram = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        signed = bool(self._bounds_B[0] < 0)
        sums = GaugeMetricFamily(f"{self._name}_running_sum", f"Sum of: {self._documentation}", labels=self._labels)
        for key, counts_B in self._counts.items():
            cumulative = np.cumsum(counts_B).tolist()
            histogram.add_metric(key, list(zip(self._names, cumulative, strict=True)), self._sums[key])
            if signed:
                labels = dict(zip(self._labels, key, strict=True))
                histogram.add_sample(f"{self._name}_count", labels, cumulative[-1])
                sums.add_metric(key, self._sums[key])
        return [histogram, sums] if signed else [histogram]


class CounterTable:
    """Counters by label values."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str]) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = list(labels)
        self._values: dict[Labels, float] = {}

    def add(self, labels: Labels, amount: float) -> None:
        self._values[labels] = self._values.get(labels, 0.0) + amount

    def families(self) -> list[Metric]:
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for key, value in self._values.items():
            family.add_metric(key, value)
        return [family]
