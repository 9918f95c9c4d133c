"""Many measurements in one line, and the targets they are held against."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def percentiles(values: Sequence[float]) -> dict[str, Any]:
    """Nearest rank; None of nothing."""
    ordered = sorted(values)

    def at(share: float) -> float | None:
        return round(ordered[max(math.ceil(share * len(ordered)) - 1, 0)], 2) if ordered else None

    return {"n": len(ordered), "p50": at(0.5), "p99": at(0.99), "max": at(1.0)}
