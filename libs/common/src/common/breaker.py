"""A circuit breaker: what answers from outside and fails again and again is left alone, then probed, then trusted again. Pure;
the caller brings the time, in seconds of one monotonic clock.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Circuit(StrEnum):
    CLOSED = "CLOSED"  # requests pass
    OPEN = "OPEN"  # none does
    HALF_OPEN = "HALF_OPEN"  # one probe is under way


class Event(StrEnum):
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    FAILED_TOO_OFTEN = "FAILED_TOO_OFTEN"
    PROBED = "PROBED"  # the pause is over, somebody asks


TRANSITIONS: Final[dict[tuple[Circuit, Event], Circuit]] = {
    (Circuit.CLOSED, Event.SUCCEEDED): Circuit.CLOSED,
    (Circuit.CLOSED, Event.FAILED): Circuit.CLOSED,
    (Circuit.CLOSED, Event.FAILED_TOO_OFTEN): Circuit.OPEN,
    (Circuit.OPEN, Event.PROBED): Circuit.HALF_OPEN,
    # What was under way when it opened, or passed it (cancels do), proves nothing about new requests.
    (Circuit.OPEN, Event.SUCCEEDED): Circuit.OPEN,
    (Circuit.OPEN, Event.FAILED): Circuit.OPEN,
    (Circuit.OPEN, Event.FAILED_TOO_OFTEN): Circuit.OPEN,
    (Circuit.HALF_OPEN, Event.SUCCEEDED): Circuit.CLOSED,
    (Circuit.HALF_OPEN, Event.FAILED): Circuit.OPEN,
    (Circuit.HALF_OPEN, Event.FAILED_TOO_OFTEN): Circuit.OPEN,
}


class Breaker(msgspec.Struct, kw_only=True):
    """`failures` in a row open it for `cool_down_s`, which doubles with every failed probe up to `max_cool_down_s`."""

    max_failures: int
    cool_down_s: float
    max_cool_down_s: float
    circuit: Circuit = Circuit.CLOSED
    failures: int = 0
    opened_at: float = 0.0
    pause_s: float = 0.0

    def passes(self) -> bool:
        """Whether a request may go out."""
        return self.circuit is Circuit.CLOSED

    def opens_in(self, now: float) -> float:
        """Seconds until a probe is due; 0 when one is, or requests pass."""
        return max(self.opened_at + self.pause_s - now, 0.0) if self.circuit is Circuit.OPEN else 0.0

    def probe(self, now: float) -> bool:
        """Takes the one probe of this pause; False while it is not due, or not needed."""
        if self.circuit is not Circuit.OPEN or self.opens_in(now) > 0:
            return False
        self._move(Event.PROBED)
        return True

    def succeeded(self) -> None:
        """The venue answered."""
        self._move(Event.SUCCEEDED)
        if self.circuit is Circuit.CLOSED:
            self.failures, self.pause_s = 0, 0.0

    def failed(self, now: float) -> None:
        """No answer, or one that says the venue is broken."""
        self.failures += 1
        before = self.circuit
        self._move(Event.FAILED_TOO_OFTEN if self.failures >= self.max_failures else Event.FAILED)
        if self.circuit is Circuit.OPEN and before is not Circuit.OPEN:
            self.opened_at = now
            self.pause_s = min(self.pause_s * 2 or self.cool_down_s, self.max_cool_down_s)

    def _move(self, event: Event) -> None:
        self.circuit = TRANSITIONS[self.circuit, event]
