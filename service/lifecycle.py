"""Whether the service can give rewards now, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from service.errors import NotReady


class Phase(StrEnum):
    """Where a service is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass
class Lifecycle:
    """Changed by `service.bootstrap` and the server, read by the routes. ``detail`` is for an operator."""

    phase: Phase = Phase.STARTING
    detail: str = "the grader is being loaded"

    def change(self, phase: Phase, detail: str = "") -> None:
        """A service that drains stays so, whatever its start-up still does."""
        if self.phase is not Phase.DRAINING:
            self.phase, self.detail = phase, detail

    def require_started(self) -> None:
        """Raises `NotReady`. Requests that come while the service drains are still answered."""
        if self.phase in (Phase.STARTING, Phase.FAILED):
            raise NotReady(f"{self.phase}: {self.detail}")
