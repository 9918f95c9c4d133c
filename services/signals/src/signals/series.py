"""Whole series of bars, as research looks back on them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from common.messages.market_data import Bar
from common.model.time import NS_PER_SECOND, Timeframe
from common.quant.kernel import Floats, Ints
from signals.features import compute
from signals.plan import Variant


class Bars(NamedTuple):
    """A series from its first bar on, a row per bar; the spreads are NaN where the source has no quotes."""

    instrument_id: str
    timeframe: Timeframe
    base: bool
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    spread_open: Floats
    spread_close: Floats

    def bar(self, i: int) -> Bar:
        """Bar `i` as its slice has it."""
        spread_open, spread_close = float(self.spread_open[i]), float(self.spread_close[i])
        return Bar(
            instrument_id=self.instrument_id,
            timeframe=self.timeframe,
            open=float(self.open[i]),
            high=float(self.high[i]),
            low=float(self.low[i]),
            close=float(self.close[i]),
            volume=float(self.volume[i]),
            spread_open=None if spread_open != spread_open else spread_open,
            spread_close=None if spread_close != spread_close else spread_close,
            base=self.base,
        )

    def prices(self) -> Floats:
        """float64[bars, 3]: high, low, close, as kernels take it."""
        return np.column_stack((self.high, self.low, self.close))

    def features(self, ts: Ints, lines: Ints) -> Floats:
        """float64[bars, features] of a table; `ts` are the closes."""
        seconds = (ts // NS_PER_SECOND).astype(np.float64)
        return compute(lines, np.column_stack((self.high, self.low, self.close, self.volume, seconds)))


class Beside(NamedTuple):
    """Another timeframe of the same instrument: its features, float64[bars, features], and of each bar of the series itself the
    number of the last one that has closed there by then, int64, -1 for none.
    """

    values: Floats
    latest: Ints

    def columns(self, variant: Variant) -> dict[str, Floats]:
        """What a variant of a strategy sees, a row per bar of the series itself; NaN where that is not known."""
        at, none = np.maximum(self.latest, 0), self.latest < 0
        found = {name: self.values[at, column] for name, column in variant.columns}
        for values in found.values():
            values[none] = np.nan
        return found
