"""Which rows are believed (MKT-03). Pure: a row, what was seen before, and a table of checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isfinite
from typing import Final

import msgspec

from common.messages.market_data import QuarantinedRow, QuarantineReason
from common.model.time import iso
from market_data.feed import RawBar, RawTick
from market_data.state import Seen

MEAN_MOVE_ROWS: Final = 100


class Rules(msgspec.Struct, frozen=True, gc=False):
    """What rows are judged by. `max_jump` and `jump_moves` are those of the settings.

    A row belongs to the `span_ns` that end now: 1 for bars, which close exactly now, the length of the base period for
    the `ticks` in it, of which several may carry the same instant.
    """

    max_jump: float
    jump_moves: float
    span_ns: int = 1
    ticks: bool = False


Check = Callable[[RawBar, Seen, int, Rules], str | None]


def unparseable(row: RawBar, seen: Seen, now: int, rules: Rules) -> str | None:
    return row.problem or None


def missing_price(row: RawBar, seen: Seen, now: int, rules: Rules) -> str | None:
    if isfinite(row.open + row.high + row.low + row.close):
        return None
    return _prices(row)


def not_positive(row: RawBar, seen: Seen, now: int, rules: Rules) -> str | None:
    if row.open > 0 and row.high > 0 and row.low > 0 and row.close > 0 and row.volume >= 0:
        return None
    return f"{_prices(row)} volume={row.volume!r}"


def ohlc_inconsistent(row: RawBar, seen: Seen, now: int, rules: Rules) -> str | None:
    if row.low <= row.open <= row.high and row.low <= row.close <= row.high:
        return None
    return _prices(row)


def crossed(row: RawBar, seen: Seen, now: int, rules: Rules) -> str | None:
    opened, closed = row.spread_open, row.spread_close
    if (opened is None or opened >= 0) and (closed is None or closed >= 0):
        return None
    return f"ask minus bid: {opened!r} at the open, {closed!r} at the close"


def duplicate(row: RawBar, seen: Seen, now: int, rules: Rules) -> str | None:
    if row.ts != seen.ts or rules.ticks:
        return None
    return f"second row for {iso(row.ts)}"


def out_of_order(row: RawBar, seen: Seen, now: int, rules: Rules) -> str | None:
    if row.ts >= seen.ts and now - rules.span_ns < row.ts <= now:
        return None
    return f"found behind {iso(seen.ts)}"


def outlier(row: RawBar, seen: Seen, now: int, rules: Rules) -> str | None:
    """A price too far from the last close, in ratio, unless it stays near the row refused just before.

    A jump therefore costs its first row: the next one at the new level confirms it and is believed. A spike that is gone
    by the close confirms nothing.
    """
    if not seen.close:
        return None
    ratio = 1.0 + max(rules.max_jump, rules.jump_moves * seen.mean_move)
    if _near(row, seen.close, ratio) or (seen.suspect and _near(row, seen.suspect, ratio)):
        return None
    return f"{_prices(row)} after close={seen.close!r}, believed up to a ratio of {ratio:.4g}"


# In the order in which they are asked: the first objection names the reason.
CHECKS: Final[Sequence[tuple[QuarantineReason, Check]]] = (
    (QuarantineReason.UNPARSEABLE, unparseable),
    (QuarantineReason.MISSING_PRICE, missing_price),
    (QuarantineReason.NOT_POSITIVE, not_positive),
    (QuarantineReason.OHLC_INCONSISTENT, ohlc_inconsistent),
    (QuarantineReason.CROSSED, crossed),
    (QuarantineReason.DUPLICATE, duplicate),
    (QuarantineReason.OUT_OF_ORDER, out_of_order),
    (QuarantineReason.OUTLIER, outlier),
)


def refuse(row: RawBar, seen: Seen, now: int, rules: Rules) -> QuarantinedRow | None:
    """The row with the first check's objection, or None: then it is believed and the reference for the next one.

    `now` is the instant of the step, 0 when the step itself comes too late.
    """
    if _plain(row, seen, now, rules):
        _remember(row, seen)
        return None
    for reason, check in CHECKS:
        detail = check(row, seen, now, rules)
        if detail is not None:
            if reason is QuarantineReason.OUTLIER:
                seen.suspect = row.close
            return QuarantinedRow(instrument_id=row.instrument_id, ts_row=row.ts, reason=reason, detail=detail)
    _remember(row, seen)
    return None


def bar_of_tick(tick: RawTick) -> RawBar:
    """A tick is a bar without length: mid price and spread of a quote, the price of a trade."""
    if tick.bid is None:
        px, spread = tick.ask, None
    else:
        px, spread = (tick.bid + tick.ask) / 2, tick.ask - tick.bid
    # A mid hides a bid of zero: the lowest price of the tick is its low, as long as that is no price at all.
    low = px if tick.bid is None or tick.bid > 0 else tick.bid
    return RawBar(tick.instrument_id, tick.ts, px, px, low, px, tick.volume, spread, spread, tick.problem)


def _plain(row: RawBar, seen: Seen, now: int, rules: Rules) -> bool:
    """Whether all checks would let the row pass, in one look: nearly every row is like that, and none needs the table."""
    low, high, close, last, ratio = row.low, row.high, row.close, seen.close, 1.0 + rules.max_jump
    return (
        0 < low <= row.open <= high < inf
        and low <= close <= high
        and last / ratio <= low
        and high <= last * ratio
        and now - rules.span_ns < row.ts <= now
        and row.ts > seen.ts
        and row.volume >= 0
        and (row.spread_open is None or row.spread_open >= 0)
        and (row.spread_close is None or row.spread_close >= 0)
        and not row.problem
    )


def _remember(row: RawBar, seen: Seen) -> None:
    """The step to a confirmed new level is no move."""
    if seen.close:
        level = seen.close
        if seen.suspect and abs(row.close - seen.suspect) < abs(row.close - seen.close):
            level = seen.suspect
        seen.moves = min(seen.moves + 1, MEAN_MOVE_ROWS)
        seen.mean_move += (abs(row.close / level - 1.0) - seen.mean_move) / seen.moves
    seen.close, seen.suspect, seen.ts = row.close, 0.0, row.ts


def _near(row: RawBar, level: float, ratio: float) -> bool:
    close = row.close
    return (
        level / ratio <= close <= level * ratio
        and row.high <= max(level, close) * ratio
        and row.low >= min(level, close) / ratio
    )


def _prices(row: RawBar) -> str:
    return f"open={row.open!r} high={row.high!r} low={row.low!r} close={row.close!r}"
