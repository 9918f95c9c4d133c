"""The prices of one instrument on one timeframe, as arrays of what the whole system would see and do at each step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import log, sqrt
from typing import Any, Final

import msgspec
import numpy as np

from common.errors import DataError
from common.model.account import Account
from common.model.enums import AssetClass
from common.model.instrument import Instrument
from common.model.money import ONE, Conversion
from common.model.time import NS_PER_DAY, Timeframe
from common.quant.kernel import Floats, Ints
from common.runtime.settings import section
from execution.financing import FinancingSettings
from execution.settings import Settings as ExecutionSettings
from research.fast.market import load_market
from research.sweep.book import (
    BOOKS_ROLLS,
    BUY,
    ENDS_DAY,
    HIGH,
    IS_BASE,
    LOW,
    MARK,
    PRICE_ROWS,
    RATE,
    REACH,
    ROLLS,
    SELL,
    VOLUME,
    Flags,
)
from research.sweep.holding import BOOKED_LONG, BOOKED_SHORT, rolls
from risk_guardian.history import SATURDAY

_TINY: Final = 1e-6  # of an increment: less than that over or under it is a binary fraction, not a price
_UNSURE: Final = 1e-7
_PARKINSON: Final = sqrt(4 * log(2))  # as the paper venue reads volatility off a range


class Series(msgspec.Struct, frozen=True):
    """`ts` int64[rows] are steps (ns); `prices` and `marks` as `book` has them; `signal_at` int64[rows] the bar of the timeframe
    that closes there, -1 for none; `bars` float64[3, bars] are its high, low, close. `depth` and `rolls` are what market impact and
    financing need, of no length where there is none; rolls belong to the rows that are marked so. Where there is depth, prices are
    those before it.
    """

    instrument: Instrument
    timeframe: Timeframe
    ts: Ints
    prices: Floats
    marks: Flags
    signal_at: Ints
    bars: Floats
    depth: Floats
    rolls: Floats

    @property
    def name(self) -> str:
        return f"{self.instrument.instrument_id} {self.timeframe}"

    @property
    def base_bars(self) -> int:
        return int(np.count_nonzero(self.marks & IS_BASE))

    @property
    def is_inverse(self) -> bool:
        """Whether its own price is that of the account's currency."""
        rate, mark = self.prices[RATE], self.prices[MARK]
        return bool(rate.size and rate[-1] != 1.0 and rate[-1] == 1.0 / mark[-1])

    @property
    def annualization(self) -> float:
        """Daily returns in a year, as `Summary.metrics` counts them."""
        return 365.0 if self.instrument.asset_class is AssetClass.CRYPTO else 252.0


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What trading and holding cost, and with how much it begins. Without a configuration: a commission."""

    currency: str = "USD"
    cash: float = 100_000.0
    fee: float = 0.2e-4  # commission, fraction of the notional
    slippage_bps: float = 0.0
    impact: float = 0.0
    financing: FinancingSettings = FinancingSettings(enabled=False)


class Bars(msgspec.Struct, frozen=True):
    """`ts` int64[bars] is when they close; `values` float64[7, bars]: open, high, low, close, volume, spreads at open and close
    (NaN where the source has no quotes).
    """

    ts: Ints
    values: Floats


class History(msgspec.Struct, frozen=True):
    """All bars of one instrument: `bars` has those of its finest timeframe, `base`, and those built of them."""

    instrument: Instrument
    base: Timeframe
    bars: dict[Timeframe, Bars]


def terms(config: Mapping[str, Any]) -> Terms:
    """From the sections `[account]` and `[execution]` of a configuration."""
    account, execution = section(config, "account", Account), section(config, "execution", ExecutionSettings)
    fee = float(Decimal(str(execution.taker_bps)) / 10_000)
    return Terms(
        currency=account.currency,
        cash=float(account.starting_cash),
        fee=fee,
        slippage_bps=execution.slippage_bps,
        impact=execution.impact,
        financing=execution.financing,
    )


def counted(config: Mapping[str, Any]) -> str:
    """Which costs of the configuration a sweep counts and which it leaves out: its fills are whole, and their fee is one."""
    execution = section(config, "execution", ExecutionSettings)
    known = {
        "slippage": execution.slippage_bps,
        "market impact where volumes are known": execution.impact,
        "financing": execution.financing.enabled,
    }
    unknown = {
        "fee_tiers": execution.fee_tiers,
        "participation": execution.participation,
        "max_qty_per_bar": execution.max_qty_per_bar,
        "reject_rate": execution.reject_rate,
    }
    inside = ", ".join(["spread", "commission", *(name for name, value in known.items() if value)])
    outside = ", ".join(name for name, value in unknown.items() if value)
    return f"{inside}; not {outside}" if outside else inside


def read(config: Mapping[str, Any]) -> dict[str, History]:
    """All instruments of the data that `config` names, by symbol: the bars that market data would say. Raises DataError for
    ticks.
    """
    market = load_market(config)
    if market is None:
        raise DataError(f"{config['run']['data']}: ticks; expected bars, which is what a sweep runs on")
    histories = {}
    for index, (instrument, base) in enumerate(zip(market.instruments, market.base_timeframes, strict=True)):
        found = {base: market.base[index]}
        found.update({timeframe: bars for (i, timeframe), bars in market.coarse.items() if i == index})
        bars = {timeframe: Bars(market.ts[each.step], each.values) for timeframe, each in found.items()}
        histories[instrument.symbol] = History(instrument, base, bars)
    return histories


def series(history: History, timeframe: Timeframe, every: Iterable[History], terms: Terms) -> Series:
    """The series of one timeframe of an instrument, from its first base bar on; `every` are those that may give the rate of its
    quote currency. Prices between base bars are those of the last one.
    """
    base, own = history.bars[history.base], history.bars[timeframe]
    ts = np.union1d(base.ts, own.ts[own.ts >= base.ts[0]] if base.ts.size else base.ts)
    at = np.searchsorted(ts, base.ts)
    prices, marks = np.full((PRICE_ROWS, ts.size), np.nan), np.zeros(ts.size, np.uint8)
    depth = np.zeros((2, 0))
    if ts.size:
        _fill_prices(prices, at, base.values, ts, history)
        depth = _slip(prices, at, base.values, history.instrument, terms)
        day = _trading_days(base.ts, history.instrument)
        marks[at[np.append(np.flatnonzero(np.diff(day)), at.size - 1)]] |= ENDS_DAY
    marks[at] |= IS_BASE
    rolled, held = rolls(history.instrument, terms.financing, ts, marks & IS_BASE != 0)
    booked = held[:, (BOOKED_LONG, BOOKED_SHORT)].astype(np.int64)
    marks[rolled] |= ROLLS
    marks[booked[(booked > 0) & (booked < ts.size)]] |= BOOKS_ROLLS
    prices[RATE] = _rates(history, ts, prices[MARK], list(every), terms.currency)
    signal_at = np.full(ts.size, -1, np.int64)
    signal_at[np.searchsorted(ts, own.ts)] = np.arange(own.ts.size)
    return Series(history.instrument, timeframe, ts, prices, marks, signal_at, own.values[1:4].copy(), depth, held)


def of_bars(instrument: Instrument, timeframe: Timeframe, ts: Ints, ohlc: Floats, terms: Terms) -> Series:
    """From arrays: bars of one timeframe that is its own base; `ohlc` is float64[4, bars]."""
    values = np.concatenate((ohlc, np.zeros((1, ts.size)), np.full((2, ts.size), np.nan)))
    history = History(instrument, timeframe, {timeframe: Bars(ts, values)})
    return series(history, timeframe, [history], terms)


def _fill_prices(prices: Floats, at: Ints, values: Floats, ts: Ints, history: History) -> None:
    """Of the paper venue: the open, or the close where the bar opened before the order was sent, half a spread worse."""
    instrument = history.instrument
    sent = ts[np.maximum(at - 1, 0)]
    only_close = (ts[at] - history.base.ns < sent) | instrument.close_only
    spread = np.where(only_close, values[6], values[5])
    half = np.where(np.isnan(spread), float(instrument.half_spread), spread / 2)
    arrival = np.where(only_close, values[3], values[0])
    prices[HIGH, at], prices[LOW, at] = values[1], values[2]
    prices[BUY, at] = against_trader(arrival + half, instrument, buys=True)
    prices[SELL, at] = against_trader(arrival - half, instrument, buys=False)
    prices[MARK] = nearest(values[3], instrument)[np.searchsorted(at, np.arange(ts.size), side="right") - 1]


def _slip(prices: Floats, at: Ints, values: Floats, instrument: Instrument, terms: Terms) -> Floats:
    """The depth where the volume is a quantity; elsewhere flat slippage is put into the prices."""
    depth = np.zeros((2, prices.shape[1]))
    if terms.impact and instrument.asset_class is not AssetClass.FX and places(instrument) is not None:
        sigma_bps = np.log(values[1] / values[2]) / _PARKINSON * 10_000
        depth[VOLUME, at] = values[4]
        depth[REACH, at] = np.where(values[4] > 0, terms.impact * sigma_bps, 0.0)
    if terms.slippage_bps:
        flat = at[depth[REACH, at] == 0.0]
        for row, sign in ((BUY, 1), (SELL, -1)):
            worse = prices[row, flat] * (1 + sign * terms.slippage_bps / 10_000)
            worse = against_trader(worse, instrument, buys=sign > 0)
            prices[row, flat] = np.where(worse > 0, worse, prices[row, flat])
    return depth if depth[REACH].any() else depth[:, :0]


def _trading_days(ts: Ints, instrument: Instrument) -> Ints:
    """`risk_guardian.history.trading_day` of an array: without coins a weekend belongs to Monday."""
    day = (ts - 1) // NS_PER_DAY
    weekday = (day + 3) % 7
    in_the_week = (weekday < SATURDAY) | (instrument.asset_class is AssetClass.CRYPTO)
    return np.where(in_the_week, day, day + 7 - weekday)


def nearest(values: Floats, instrument: Instrument) -> Floats:
    """`instrument.round_price` of an array; what binary fractions leave in doubt is asked of it itself."""
    digits = places(instrument)
    if digits is None:
        return np.array([float(instrument.round_price(value)) for value in values.tolist()])
    scaled = values * 10.0**digits
    result = np.rint(scaled) / 10.0**digits
    for index in np.flatnonzero(np.abs(scaled - np.floor(scaled) - 0.5) < _UNSURE).tolist():
        result[index] = float(instrument.round_price(float(values[index])))
    return result


def against_trader(values: Floats, instrument: Instrument, *, buys: bool) -> Floats:
    """Up to the increment for a purchase, down for a sale, as the paper venue rounds."""
    digits = places(instrument)
    if digits is None:
        return np.array([_rounded(value, instrument, buys) for value in values.tolist()])
    scaled = values * 10.0**digits
    close_to = np.rint(scaled)
    off = np.abs(scaled - close_to)
    result = np.where(off < _TINY, close_to, np.ceil(scaled) if buys else np.floor(scaled)) / 10.0**digits
    for index in np.flatnonzero((np.abs(off - _TINY) < _UNSURE) | (off > 0.5 - _UNSURE)).tolist():
        result[index] = _rounded(float(values[index]), instrument, buys)
    return result


def _rounded(value: float, instrument: Instrument, buys: bool) -> float:
    exact = instrument.round_price(value)
    if abs(Decimal(repr(value)) - exact) * 1_000_000 < instrument.price_increment:
        return float(exact)
    rounding = ROUND_CEILING if buys else ROUND_FLOOR
    return float(Decimal(repr(value)).quantize(instrument.price_increment, rounding=rounding))


def places(instrument: Instrument) -> int | None:
    """Decimal places of the price; None where its increment is no power of ten."""
    _, digits, exponent = instrument.price_increment.as_tuple()
    return -exponent if digits == (1,) and isinstance(exponent, int) and -15 <= exponent <= 0 else None


def _rates(history: History, ts: Ints, mark: Floats, every: Sequence[History], currency: str) -> Floats:
    """Account-currency value of the quote currency on each row; NaN where no price of the data gives it."""
    quote, two = history.instrument.quote, Decimal(2)
    rate = Conversion(currency, [each.instrument for each in every]).rate(
        quote, {each.instrument.instrument_id: two for each in every}
    )
    if rate is None or rate == ONE:
        return np.full(ts.size, np.nan if rate is None else 1.0)
    for each in every:
        if Conversion(currency, [each.instrument]).rate(quote, {each.instrument.instrument_id: two}) is not None:
            px = mark if each is history else _as_of(each, ts)
            return 1.0 / px if rate < ONE else px
    raise AssertionError(f"{quote}: a rate without an instrument")


def _as_of(history: History, ts: Ints) -> Floats:
    """Last close known at each of `ts`, NaN before the first."""
    bars = history.bars[history.base]
    known = np.concatenate(([np.nan], nearest(bars.values[3], history.instrument)))
    return known[np.searchsorted(bars.ts, ts, side="right")]
