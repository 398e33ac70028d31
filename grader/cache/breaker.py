"""A circuit breaker: after several failures in a row nobody asks for a while, then one asks, and its fate decides.

Knows no clock but the one that it is given, and nothing of Redis.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Literal, NewType, TypeAlias

State: TypeAlias = Literal["closed", "open", "half_open"]
Permit = NewType("Permit", int)

DEFAULT_FAILURES_TO_OPEN: Final = 5
DEFAULT_COOLDOWN_SECONDS: Final = 2.0


class Breaker:
    """Every attempt asks `enter` for a permit and reports with it once: `succeeded`, `failed` or `released`.

    A permit names the period between two changes of state in which it was given. A report from an earlier period says
    nothing about this one and is ignored, so that the tail of an outage cannot reopen what a probe has closed.

    ``failures_to_open``: failures in a row; fewer react sooner and take a hiccup for an outage. ``cooldown_seconds``:
    from opening to the next probe; a shorter one recovers sooner and spends more time-outs on a dead server.
    ``changed`` is called with whether the breaker is closed now.
    """

    def __init__(
        self,
        failures_to_open: int = DEFAULT_FAILURES_TO_OPEN,
        cooldown_seconds: float = DEFAULT_COOLDOWN_SECONDS,
        *,
        changed: Callable[[bool], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures_to_open = failures_to_open
        self._cooldown_seconds = cooldown_seconds
        self._changed = changed
        self._clock = clock
        self._state: State = "closed"
        self._period = 0
        self._failures = 0
        self._probe_at = 0.0

    @property
    def state(self) -> State:
        return self._state

    def enter(self) -> Permit | None:
        """A permit to try, or None: do not. Past the cool-down exactly one probe is let through."""
        if self._state == "half_open" or (self._state == "open" and self._clock() < self._probe_at):
            return None
        if self._state == "open":
            self._become("half_open")
        return Permit(self._period)

    def succeeded(self, permit: Permit) -> None:
        if permit != self._period:
            return
        self._failures = 0
        if self._state == "half_open":
            self._become("closed")
            self._changed(True)

    def failed(self, permit: Permit) -> None:
        if permit != self._period:
            return
        self._failures += 1
        if self._state == "half_open":
            self._open(self._cooldown_seconds)
        elif self._failures >= self._failures_to_open:
            self._open(self._cooldown_seconds)
            self._changed(False)

    def released(self, permit: Permit) -> None:
        """The attempt was cancelled and tells nothing. A cancelled probe leaves its place to the next one to ask."""
        if permit == self._period and self._state == "half_open":
            self._open(cooldown_seconds=0.0)

    def _open(self, cooldown_seconds: float) -> None:
        self._probe_at = self._clock() + cooldown_seconds
        self._become("open")

    def _become(self, state: State) -> None:
        self._state = state
        self._period += 1
        self._failures = 0
