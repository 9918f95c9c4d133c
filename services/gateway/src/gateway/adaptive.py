"""How thresholds that follow volatility moved, and why (SIG-06). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from common.quant import thresholds
from common.quant.thresholds import Hour

LEAST: Final = 0.5  # as the strategy breakout_adaptive has them, unless told otherwise
MOST: Final = 2.0
NEEDED: Final = thresholds.HOURS + 24 * thresholds.DAYS - 1  # hours until there is a first threshold
HISTORY: Final = 100  # hours behind it
HOURS: Final = NEEDED + HISTORY
WINDOW: Final = (HOURS, (HOURS + 1) * 60)  # parameters of market_queries.TRAVELLED behind the instrument


def answer(rows: Sequence[Mapping[str, Any]], least: float, most: float, limit: int) -> dict[str, Any]:
    """Changes, newest first, from the hours of one instrument, oldest first (rows of market_queries.TRAVELLED). Where there are none
    `reason` says why; else it is empty.
    """
    hours = [Hour(row["end_ns"], row["travelled"], row["bars"]) for row in rows]
    found = thresholds.changes(hours, least=least, most=most, last=HISTORY + 1)
    if len(rows) == HOURS and len(found) > 1 and found[0].before is None:
        found = found[1:]  # there was a threshold before what was read, too: that one is no change
    return {
        "timeframe": rows[0]["timeframe"] if rows else None,
        "hours": len(rows),
        "hours_needed": NEEDED,
        "reason": "" if found else _too_few(rows),
        "items": [one._asdict() for one in found[::-1][:limit]],
    }


def _too_few(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "no hour of bars of an hour or less is recorded and over"
    return f"{len(rows)} hours of {rows[0]['timeframe']} bars are recorded, {NEEDED} are needed"
