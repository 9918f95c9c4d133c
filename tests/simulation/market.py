"""A few instruments, a few dozen hours, prices that wander and sometimes jump: enough to trade, to stop out, to climb ladders."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Final

from common.messages.control import InstrumentsDefined
from common.messages.market_data import Bar, MarketSlice
from common.model.enums import AssetClass
from common.model.instrument import Instrument
from common.model.time import NS_PER_HOUR, Timeframe

BOOK: Final = "sim"
START_NS: Final = 1_483_452_000_000_000_000  # a Tuesday, 14:00 UTC
NAMES: Final = ("AAA-USD.SIM", "BBB-USD.SIM", "CCC-USD.SIM")


def instruments() -> tuple[Instrument, ...]:
    return tuple(
        Instrument(
            instrument_id=name,
            asset_class=AssetClass.FX,
            base=name[:3],
            quote="USD",
            price_increment=Decimal("0.00001"),
            qty_increment=Decimal(1),
            half_spread=Decimal("0.0001"),
        )
        for name in NAMES
    )


def opening() -> InstrumentsDefined:
    return InstrumentsDefined(
        ts_event=START_NS,
        book=BOOK,
        account_currency="USD",
        instruments=instruments(),
        base_timeframes=(Timeframe.H1,) * len(NAMES),
    )


def slices(random: Random, steps: int) -> Iterator[MarketSlice]:
    """`steps` hours; an hour in twenty jumps by several per cent, and now and then an instrument has no bar."""
    last = [1.0, 1.5, 0.8]
    for step in range(1, steps + 1):
        bars = []
        for index, name in enumerate(NAMES):
            before = last[index]
            shock = random.gauss(0, 0.05) if random.random() < 0.05 else random.gauss(0, 0.004)
            close = round(max(0.05, before * (1 + shock)), 5)
            last[index] = close
            if random.random() < 0.03:
                continue
            wick = abs(random.gauss(0, 0.001)) * close
            bars.append(
                Bar(
                    instrument_id=name,
                    timeframe=Timeframe.H1,
                    open=before,
                    high=round(max(before, close) + wick, 5),
                    low=round(min(before, close) - wick, 5),
                    close=close,
                    volume=1e6,
                )
            )
        yield MarketSlice(ts_event=START_NS + step * NS_PER_HOUR, book=BOOK, step=step, bars=tuple(bars))
