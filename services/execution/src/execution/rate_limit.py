"""How fast a venue may be asked: our own token bucket, and the pauses the venue demands. Pure; the caller brings the time."""

from __future__ import annotations

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

    def take(self, now: float, reserve: float = 0.0) -> float:
        """0 and the token is taken; or the seconds after which there will be one. `reserve` tokens stay untouched, for
        requests that matter more.
        """
        if now < self.closed_until:
            return self.closed_until - now
        self._refill(now)
        missing = reserve + 1 - self.tokens
        if missing > _SLACK:
            return missing / self.per_s
        self.tokens = max(self.tokens - 1, 0.0)
        return 0.0

    def pause(self, now: float, seconds: float) -> None:
        """The venue wants nothing for so long (HTTP 429, Retry-After)."""
        self.closed_until = max(self.closed_until, now + seconds)

    def _refill(self, now: float) -> None:
        if self.tokens < 0:
            self.tokens = float(self.burst)
        elif now > self.refilled_at:
            self.tokens = min(self.tokens + (now - self.refilled_at) * self.per_s, float(self.burst))
        self.refilled_at = max(self.refilled_at, now)
