"""What execution knows of each market when it plans: price, spread, how much it moves and trades."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, sqrt
from typing import Final

import msgspec

from common.messages.market_data import Bar, MarketSlice, Quote
from common.model.instrument import Instrument
from common.model.time import NS_PER_HOUR

FORGETS: Final = 0.06  # of variance and volume, a bar: RiskMetrics' decay of 0.94
HOUR_FORGETS: Final = 0.1  # of an hour's volume, a day
RETURNS_NEEDED: Final = 20


class InstrumentView(msgspec.Struct, kw_only=True):
    """`mid` 0: no price yet. `half_spread` in price units; `variance` is the mean squared log return of a bar, `volume` the
    mean volume of one, in the data's unit (base currency where not stated otherwise), 0 where the source has none.
    `hours` holds the mean bar volume by UTC hour of the bar's open, `hour_bars` how many bars that is of.
    """

    mid: float = 0.0
    half_spread: float = 0.0
    close: float = 0.0
    variance: float = 0.0
    volume: float = 0.0
    bars: int = 0
    bar_ns: int = 0
    ts: int = 0
    hours: list[float] = msgspec.field(default_factory=lambda: [0.0] * 24)
    hour_bars: list[int] = msgspec.field(default_factory=lambda: [0] * 24)

    @property
    def ready(self) -> bool:
        """Whether enough bars were seen to speak of volatility."""
        return self.bars > RETURNS_NEEDED and self.mid > 0

    @property
    def half_spread_bps(self) -> float:
        return self.half_spread / self.mid * 10_000

    def sigma_bps(self, horizon_ns: float) -> float:
        """Standard deviation of the price's change over `horizon_ns`, by the square root of time; needs a bar."""
        return sqrt(self.variance * horizon_ns / self.bar_ns) * 10_000

    def volume_at(self, ts: int, now: int) -> float:
        """Volume expected of the bar that opens at `ts`: the present level, times the day's profile. 0: not known."""
        then, present = self._of_hour(ts), self._of_hour(now)
        return self.volume * then / present if then > 0 and present > 0 else self.volume

    def _of_hour(self, ts: int) -> float:
        return self.hours[ts // NS_PER_HOUR % 24]


class MarketView(msgspec.Struct, kw_only=True):
    """One view for each instrument that has said anything."""

    instruments: dict[str, InstrumentView] = msgspec.field(default_factory=dict)

    def observe(self, message: MarketSlice, instruments: Mapping[str, Instrument]) -> None:
        """Takes in the base bars and the quotes of a slice. A quote is newer than the bar beside it."""
        for bar in message.bars:
            if bar.base and (instrument := instruments.get(bar.instrument_id)) is not None:
                _take_bar(self._of(bar.instrument_id), bar, message.ts_event, instrument)
        for quote in message.quotes:
            if quote.instrument_id in instruments:
                _take_quote(self._of(quote.instrument_id), quote)

    def _of(self, instrument_id: str) -> InstrumentView:
        view = self.instruments.get(instrument_id)
        if view is None:
            view = self.instruments[instrument_id] = InstrumentView()
        return view


def _take_bar(view: InstrumentView, bar: Bar, ts: int, instrument: Instrument) -> None:
    close, spread = bar.close, bar.spread_close
    if view.bars:
        change = log(close / view.close)
        square = (
            change * change * bar.timeframe.ns / max(ts - view.ts, bar.timeframe.ns)
        )  # over a weekend: a bar's part
        view.variance += max(FORGETS, 1.0 / view.bars) * (square - view.variance)
    view.bars += 1
    view.volume += max(FORGETS, 1.0 / view.bars) * (bar.volume - view.volume)
    view.mid = view.close = close
    view.half_spread = float(instrument.half_spread) if spread is None else max(spread, 0.0) / 2
    view.bar_ns, view.ts = bar.timeframe.ns, ts
    if view.volume > 0 and view.bar_ns <= NS_PER_HOUR:
        _take_hour(view, (ts - view.bar_ns) // NS_PER_HOUR % 24, bar.volume)


def _take_hour(view: InstrumentView, hour: int, volume: float) -> None:
    view.hour_bars[hour] += 1
    weight = max(HOUR_FORGETS * view.bar_ns / NS_PER_HOUR, 1.0 / view.hour_bars[hour])
    view.hours[hour] += weight * (volume - view.hours[hour])


def _take_quote(view: InstrumentView, quote: Quote) -> None:
    view.mid = (quote.bid + quote.ask) / 2
    view.half_spread = max(quote.ask - quote.bid, 0.0) / 2
