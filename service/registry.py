"""The snapshots that are being served, one a policy, and how a request chooses among them and insists on one.

A snapshot is replaced whole; a batch keeps the one that it took.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from grader.backends.base import Backend
from models.reward import Snapshot
from service.errors import NotReady, SnapshotMismatch, UnknownPolicy, UnknownWeights

_SHORTEST_PREFIX: Final = 8


class Registry:
    """Snapshots by policy name; the first one put is the default."""

    def __init__(self, snapshots: Iterable[Snapshot] = ()) -> None:
        self._snapshots: Mapping[str, Snapshot] = {}
        for snapshot in snapshots:
            self.put(snapshot)

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        return MappingProxyType(dict(self._snapshots))

    def put(self, snapshot: Snapshot) -> None:
        """Serve this snapshot from now on, in place of an earlier one of the same policy name."""
        self._snapshots = {**self._snapshots, snapshot.policy.name: snapshot}

    def choose(self, policy: str | None = None, weights: str | None = None) -> Snapshot:
        """``policy``: name or fingerprint; None: the default. Raises `UnknownPolicy`, `UnknownWeights`, `NotReady`."""
        snapshot = self._of_policy(policy)
        if weights is not None and not names_hash(weights, snapshot.weights.fingerprint):
            raise UnknownWeights(f"the weights in use are {snapshot.weights.fingerprint}", "weights")
        return snapshot

    def _of_policy(self, policy: str | None) -> Snapshot:
        if not self._snapshots:
            raise NotReady("no policy is being served yet")
        if policy is None:
            return next(iter(self._snapshots.values()))
        if policy in self._snapshots:
            return self._snapshots[policy]
        for snapshot in self._snapshots.values():
            if names_hash(policy, snapshot.policy.fingerprint):
                return snapshot
        raise UnknownPolicy(f"no such policy; there are: {', '.join(self._snapshots)}", "policy")


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a run began with; None where anything will do.

    ``policy`` and ``weights``: fingerprints, or their beginnings (see `names_hash`). ``grader``: fingerprint or
    identity, whole, because these begin with names that many graders share.
    """

    policy: str | None = None
    weights: str | None = None
    grader: str | None = None

    def check(self, snapshot: Snapshot, backend: Backend) -> None:
        """Raises `SnapshotMismatch`, so that a hot swap cannot change a run's objective unnoticed."""
        for name, expected, actual in (
            ("policy", self.policy, snapshot.policy.fingerprint),
            ("weights", self.weights, snapshot.weights.fingerprint),
        ):
            if expected is not None and not names_hash(expected, actual):
                raise _mismatch(name, actual)
        if self.grader is not None and self.grader not in (backend.fingerprint, backend.identity):
            raise _mismatch("grader", backend.fingerprint)


def names_hash(given: str, actual: str) -> bool:
    """Whether ``given`` is the hex digest ``actual`` or at least its first 8 digits."""
    return given == actual or (len(given) >= _SHORTEST_PREFIX and actual.startswith(given))


def _mismatch(name: str, actual: str) -> SnapshotMismatch:
    return SnapshotMismatch(f"the {name} in use is {actual}, not the expected one", f"expect.{name}")
