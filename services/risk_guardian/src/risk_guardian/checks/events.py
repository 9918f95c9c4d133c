"""Whether an economic event of the instrument's currencies is too near (REG-12)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from common.model.enums import DenyCode
from common.model.money import DOLLARS, ZERO
from common.model.time import NS_PER_MINUTE
from risk_guardian.checks.base import Breach, Context, Cut, exact
from risk_guardian.events import EVERY_CURRENCY

_DOLLAR: Final = "USD"


def event_blackout(c: Context) -> Cut | None:
    """Only what closes a position passes. Observed are the minutes to the event, negative after it; the limit is how far off it
    must be on that side.
    """
    if not c.events.on:
        return None
    away = min(_away(c), key=abs, default=None)
    if away is None:
        return None
    allowed = c.events.before_minutes if away > 0 else c.events.after_minutes
    breach = Breach(DenyCode.EVENT_BLACKOUT, Decimal(away) / NS_PER_MINUTE, exact(allowed))
    return Cut(c.closes if c.limits.resize else ZERO, breach)


def _away(c: Context) -> Iterator[int]:
    """How far off are the events whose span holds the moment of the decision: the first of each currency."""
    back, ahead = (int(of * NS_PER_MINUTE) for of in (c.events.after_minutes, c.events.before_minutes))
    for currency in _currencies(c):
        times = c.state.events.get(currency, [])
        first = bisect_left(times, c.ts - back)
        yield from (ts - c.ts for ts in times[first : first + 1] if ts <= c.ts + ahead)


def _currencies(c: Context) -> tuple[str, ...]:
    """Dollar stablecoins feel what the dollar feels."""
    base, quote = (_DOLLAR if name in DOLLARS else name for name in (c.instrument.base, c.instrument.quote))
    return (base, quote, EVERY_CURRENCY)
