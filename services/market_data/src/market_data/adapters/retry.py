"""When to try a venue again. Pure: chance comes from a seed, time from the caller."""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from typing import Final

import msgspec

from common.model.time import NS_PER_SECOND

LONGEST_S: Final = 3600.0  # what a venue may ask us to wait


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Pauses that double from `base_s` to `cap_s`, times a share in [0.5, 1) drawn from `seed` and `key`: feeds that fell together
    do not come back together, and a test sees the same pauses twice.
    """

    key: str
    seed: int = 0
    base_s: float = 0.5
    cap_s: float = 30.0

    def pause_s(self, failures: int, at_least_s: float = 0.0) -> float:
        """After `failures` (>= 1) in a row. Never less than the venue asked for."""
        longest = min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, 60))
        draw = blake2b(f"{self.seed}:{self.key}:{failures}".encode(), digest_size=4).digest()
        return max(longest * (0.5 + int.from_bytes(draw, "big") / 2**33), at_least_s)


def retry_after_s(value: str | None, now_ns: int) -> float:
    """Seconds that a Retry-After header asks for, within [0, 3600]: a number or an HTTP date (RFC 9110, 10.2.3). 0 where it is absent
    or nonsense.
    """
    if not value:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        date_ns = http_date_ns(value)
        if date_ns is None:
            return 0.0
        seconds = (date_ns - now_ns) / 1e9
    return min(max(seconds, 0.0), LONGEST_S) if math.isfinite(seconds) else 0.0


def http_date_ns(value: str | None) -> int | None:
    """An HTTP date (RFC 9110, 5.6.7) to the second; None where it is absent or nonsense."""
    try:
        return round(parsedate_to_datetime(value).timestamp()) * NS_PER_SECOND if value else None
    except (ValueError, OverflowError):
        return None
