"""Prices by instrument and timeframe, as the run's own market data has them, with what was known before each bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from common.errors import DataError
from common.model.enums import AssetClass
from common.model.instrument import Instrument
from common.model.time import Timeframe
from common.quant.kernel import Floats, Ints
from common.quant.volatility import atr
from common.runtime.settings import section
from regime.history import look_back
from regime.rules import REGIMES
from regime.settings import Settings as RegimeSettings
from research.fast.market import Market, load_market
from research.fast.market import Series as MarketSeries

ATR_BARS: Final = 14
UNKNOWN: Final = -1  # no reading yet, or none for this timeframe


class Prices(NamedTuple):
    """Bars of one instrument and timeframe, oldest first. `opens` and `closes` are ns; `atr` is Wilder's and `regime` a place in
    `regime.rules.REGIMES`, each as of the bar before: NaN and -1 where not known.
    """

    instrument: Instrument
    timeframe: Timeframe
    opens: Ints
    closes: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    half_spread: Floats
    atr: Floats
    regime: Ints

    @property
    def pip(self) -> float | None:
        return pip_size(self.instrument.asset_class, self.instrument.quote)


def pip_size(asset_class: AssetClass, quote: str) -> float | None:
    """0.01 where a currency is quoted in yen, 0.0001 for other currencies; None for what is no currency."""
    if asset_class is not AssetClass.FX:
        return None
    return 0.01 if quote == "JPY" else 0.0001


def regime_name(code: int) -> str:
    return "-" if code == UNKNOWN else str(REGIMES[code])


def load(config: Mapping[str, Any], timeframes: Sequence[Timeframe]) -> list[Prices]:
    """All series of these timeframes that the data of `config` has. Raises ConfigError and DataError."""
    market = load_market(config)
    if market is None:
        raise DataError("data of ticks: sessions are read from bars; expected a directory of bars")
    return prices_of(market, config, timeframes)


def prices_of(market: Market, config: Mapping[str, Any], timeframes: Sequence[Timeframe]) -> list[Prices]:
    """As `load`, of a market that is loaded. Raises DataError where it has none of these timeframes."""
    settings, by_id = section(config, "regime", RegimeSettings), {one.instrument_id: one for one in market.instruments}
    found = [
        _prices(one, by_id[one.instrument_id], market.ts, settings)
        for one in market.contents.series
        if one.timeframe in timeframes and one.bars.step.size
    ]
    if not found:
        has = sorted({one.timeframe for one in market.contents.series}, key=lambda timeframe: timeframe.ns)
        raise DataError(
            f"no bars of {', '.join(timeframes)}: the data has {', '.join(has) or 'none'}; expected bars of an hour or less"
        )
    return found


def _prices(one: MarketSeries, instrument: Instrument, ts: Ints, settings: RegimeSettings) -> Prices:
    bars, closes = one.bars, ts[one.bars.step]
    codes = np.full(closes.size, UNKNOWN)
    if one.timeframe in settings.timeframes:
        high_low_close = np.ascontiguousarray(np.column_stack([bars.high, bars.low, bars.close]))
        codes = look_back(high_low_close, closes, settings).stable.astype(np.int64)
    spread = np.where(np.isnan(bars.spread_close), 2 * float(instrument.half_spread), bars.spread_close)
    return Prices(
        instrument=instrument,
        timeframe=one.timeframe,
        opens=closes - one.timeframe.ns,
        closes=closes,
        open=bars.open,
        high=bars.high,
        low=bars.low,
        close=bars.close,
        half_spread=np.maximum(spread, 0.0) / 2,
        atr=np.concatenate([[np.nan], atr(bars.high, bars.low, bars.close, ATR_BARS)[:-1]]),
        regime=np.concatenate([[UNKNOWN], codes[:-1]]),
    )
