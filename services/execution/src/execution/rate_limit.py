"""How fast a venue may be asked: our own token bucket, and the pauses the venue demands. Pure; the caller brings the time."""

from __future__ import annotations

import math
from typing import Final

import msgspec

_SLACK: Final = 1e-9  # of a token: who waited as long as told shall not fail by a rounding


class RateLimit(msgspec.Struct, kw_only=True):
    """`burst` requests at once, refilled at `per_s`. Times are seconds of one monotonic clock."""

    per_s: float
    burst: int
    tokens: float = -1.0  # < 0: full, not used yet
    refilled_at: float = 0.0
    closed_until: float = 0.0
    promised: dict[float, float] = msgspec.field(default_factory=dict)  # by reserve: the last time told

    def take(self, now: float, reserve: float = 0.0) -> float:
        """0 and the token is taken; or the seconds after which there will be one, for each who asks in vain another, so that they
        do not come back together. `reserve` tokens stay untouched, for requests that matter more.
        """
        wait = self._missing_s(now, reserve)
        if wait <= 0:
            self.tokens = max(self.tokens - 1, 0.0)
            return 0.0
        at = max(now + wait, self.promised.get(reserve, -math.inf) + 1 / self.per_s)
        self.promised[reserve] = at
        return at - now

    def pause(self, now: float, seconds: float) -> None:
        """The venue wants nothing for so long (HTTP 429, Retry-After)."""
        self.closed_until = max(self.closed_until, now + seconds)

    def _missing_s(self, now: float, reserve: float) -> float:
        """<= 0 when there is a token now."""
        self._refill(now)
        missing = reserve + 1 - self.tokens
        return max(missing / self.per_s if missing > _SLACK else 0.0, self.closed_until - now)

    def _refill(self, now: float) -> None:
        if self.tokens < 0:
            self.tokens = float(self.burst)
        elif now > self.refilled_at:
            self.tokens = min(self.tokens + (now - self.refilled_at) * self.per_s, float(self.burst))
        self.refilled_at = max(self.refilled_at, now)
