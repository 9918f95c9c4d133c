"""How fast a venue may be asked. Pure; the caller brings the time, in nanoseconds of one monotonic clock."""

from __future__ import annotations

import msgspec


class TokenBucket(msgspec.Struct, kw_only=True):
    """At most `limit` requests in any window of `window_ns`, wherever it begins; `burst` (< `limit`) of them at once.

    A bucket of `burst` tokens that is refilled at `limit - burst` a window: whoever begins with a full bucket and lives on the refill
    for a window has then sent `limit`, and no window can hold more. Kept as the time at which the bucket would be full again (the
    generic cell rate algorithm, ITU-T I.371), in integers: no rounding adds up.
    """

    limit: int
    window_ns: int
    burst: int
    full_at: int = 0
    closed_until: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.burst < self.limit:
            raise ValueError(f"burst {self.burst}: expected at least 1 and less than the limit {self.limit}")

    @property
    def token_ns(self) -> int:
        """How long the refill of one token takes."""
        return -(-self.window_ns // (self.limit - self.burst))

    def wait_ns(self, now: int) -> int:
        """How long the next request has to wait; 0: it may go."""
        return max(self.full_at - (self.burst - 1) * self.token_ns, self.closed_until, now) - now

    def take(self, now: int) -> None:
        """A request goes out. Only after `wait_ns(now)` said 0."""
        self.full_at = max(self.full_at, now) + self.token_ns

    def pause(self, now: int, wait_ns: int) -> None:
        """The venue wants nothing for so long (HTTP 429, Retry-After)."""
        self.closed_until = max(self.closed_until, now + wait_ns)
