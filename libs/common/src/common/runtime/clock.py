"""The clock on the wall, for what lives by it."""

from __future__ import annotations

import time
from collections.abc import Callable


def wall_ns() -> int:
    """Nanoseconds UTC."""
    return time.time_ns()


def fast(origin_ns: int, speed: float) -> Callable[[], int]:
    """A clock that was right at `origin_ns` and has run `speed` times as fast since then."""
    if speed == 1.0:
        return wall_ns
    return lambda: origin_ns + round((wall_ns() - origin_ns) * speed)
