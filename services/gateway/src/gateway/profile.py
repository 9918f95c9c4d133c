"""Volume by price: the level most was traded at, and the narrowest range that holds 70 % of it (SIG-08). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from common.quant.profile_levels import LOG_BIN, levels

TIMEFRAMES: Final = (
    "1m",
    "5m",
    "15m",
    "30m",
    "1h",
)  # of the first that an instrument has; coarser bars do not say where
HOURS: Final = 7 * 24
WINDOW: Final = (
    TIMEFRAMES,
    HOURS,
    (HOURS + 1) * 60,
    LOG_BIN,
)  # parameters of market_queries.BINS behind the instrument


def answer(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Levels from the bins of one instrument in order of price (rows of market_queries.BINS), None without bars. Where nothing
    has a volume every bar counts as one: `by` says which it was.
    """
    by = "volume" if any(row["volume"] > 0 for row in rows) else "bars"
    first = rows[0]["bin"] if rows else 0
    weights = [0.0] * (rows[-1]["bin"] - first + 1 if rows else 0)
    for row in rows:
        weights[row["bin"] - first] = float(row[by])
    found = levels(first, weights) if rows else None
    return {
        "poc": found.poc if found else None,
        "value_low": found.val if found else None,
        "value_high": found.vah if found else None,
        "by": by,
        "bars": sum(row["bars"] for row in rows),
        "timeframe": rows[0]["timeframe"] if rows else None,
        "ts_event": max((row["ts_event"] for row in rows), default=None),
    }
