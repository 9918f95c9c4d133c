"""How long a venue takes to answer: a histogram, so that a million requests cost as much memory as one."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Final

import msgspec

BOUNDS_MS: Final = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000)


class ResponseTimes(msgspec.Struct, kw_only=True):
    """`counts[i]` answers came within `BOUNDS_MS[i]` milliseconds and not within the bound before; the last one counts the rest."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))
    total_ms: float = 0.0
    max_ms: float = 0.0

    def record(self, ms: float) -> None:
        self.counts[bisect_left(BOUNDS_MS, ms)] += 1
        self.total_ms += ms
        self.max_ms = max(self.max_ms, ms)

    def quantile_ms(self, share: float) -> float | None:
        """The bound within which `share` of the answers came, or the longest if that is less; None without an answer."""
        answered, seen = sum(self.counts), 0
        for count, bound in zip(self.counts, (*BOUNDS_MS, self.max_ms), strict=True):
            seen += count
            if answered and seen >= share * answered:
                return min(float(bound), self.max_ms)
        return None

    def summary(self) -> dict[str, Any]:
        answered = sum(self.counts)
        return {
            "answers": answered,
            "mean_ms": self.total_ms / answered if answered else None,
            "p50_ms": self.quantile_ms(0.50),
            "p99_ms": self.quantile_ms(0.99),
            "max_ms": self.max_ms if answered else None,
            "within_ms": {
                str(bound): count for bound, count in zip((*BOUNDS_MS, "more"), self.counts, strict=True) if count
            },
        }
