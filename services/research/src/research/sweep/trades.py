"""The trades of one configuration, in decimals, as the whole system would book them."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from common.model.enums import Side
from research.sweep.book import LOG_CLOSED, LOG_OPENED, LOG_QTY, LOG_ROW
from research.sweep.grid import Configuration
from research.sweep.run import Frame, run
from research.sweep.series import Series, Terms


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """From flat to flat or to the other side. Times are those of the steps in which the venue fills (ns); `exit_ns` and `exit_px`
    are None while it is open.
    """

    side: Side
    qty: Decimal
    entry_ns: int
    entry_px: Decimal
    exit_ns: int | None = None
    exit_px: Decimal | None = None


def trades(series: Series, configuration: Configuration, terms: Terms) -> tuple[Trade, ...]:
    """Runs the configuration alone through the same kernels and lists what it traded."""
    fills = run(series, [configuration], terms, Frame.whole(), log=series.ts.size).fills
    found: list[Trade] = []
    held, tick = Decimal(0), series.instrument.price_increment
    for fill in fills:
        row, moved = int(fill[LOG_ROW]), _exact(fill[LOG_QTY], series.instrument.qty_increment)
        ts = int(series.ts[row])
        if held:
            found[-1] = msgspec.structs.replace(found[-1], exit_ns=ts, exit_px=_exact(fill[LOG_CLOSED], tick))
        held += moved
        if held:
            side = Side.BUY if held > 0 else Side.SELL
            found.append(Trade(side=side, qty=abs(held), entry_ns=ts, entry_px=_exact(fill[LOG_OPENED], tick)))
    return tuple(found)


def _exact(value: float, increment: Decimal) -> Decimal:
    """The multiple of the increment that the float stands for."""
    return (Decimal(repr(float(value))) / increment).to_integral_value() * increment
