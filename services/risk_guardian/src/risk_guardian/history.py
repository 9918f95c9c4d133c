"""What the guardian remembers for its measures: a return a day of every instrument, who wanted what, and how the VaR did.

The prices are its own, from the market data. A day's close is that of the instrument's 1d bar; where none come, the last price of
the UTC day. Without an instrument that trades at weekends, Saturday and Sunday belong to Monday: the two hours of an FX Sunday are
no day. Days are counted from 1970.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.messages.market_data import MarketSlice
from common.messages.portfolio import Target
from common.model.enums import AssetClass
from common.model.instrument import Instrument
from common.model.time import NS_PER_DAY, Timeframe

SATURDAY: Final = 5
Floats = NDArray[np.float64]


def _none() -> Floats:
    return np.empty((0, 0))


def _nothing() -> Floats:
    return np.empty(0)


class History(msgspec.Struct, kw_only=True):
    """`returns` is float64[instruments, window], newest last: 0 on a day without a close and before the first one; `counts` says
    how many of the newest are real. `volumes` is float64[instruments, days], units traded a day. `now` is the last price, `closes`
    the last daily close (NaN: none yet) and `closed` its day. `version` rises with every change of `returns`.
    """

    rows: dict[str, int] = msgspec.field(default_factory=dict)
    returns: NDArray[np.float64] = msgspec.field(default_factory=_none)
    volumes: NDArray[np.float64] = msgspec.field(default_factory=_none)
    now: NDArray[np.float64] = msgspec.field(default_factory=_nothing)
    closes: list[float] = msgspec.field(default_factory=list)
    closed: list[int] = msgspec.field(default_factory=list)
    priced: list[int] = msgspec.field(default_factory=list)  # day of the last price
    counts: list[int] = msgspec.field(default_factory=list)
    daily: list[bool] = msgspec.field(default_factory=list)  # has 1d bars
    weekends: bool = False
    day: int = -1  # of the last slice
    column: int = -1  # of the newest returns
    version: int = 0


class BackTest(msgspec.Struct, kw_only=True):
    """Yesterday's VaR against today's loss, both of the book that the day began with: `weights` fractions of equity at `prices`,
    as of the end of the day before. `next_*` is the book of the last step. `n01`: a breach after a quiet day, and so on.
    """

    weights: NDArray[np.float64] = msgspec.field(default_factory=_nothing)
    prices: NDArray[np.float64] = msgspec.field(default_factory=_nothing)
    var: float | None = None
    next_weights: NDArray[np.float64] = msgspec.field(default_factory=_nothing)
    next_var: float | None = None
    days: int = 0
    breaches: int = 0
    breached: bool | None = None  # on the last day that counted
    n00: int = 0
    n01: int = 0
    n10: int = 0
    n11: int = 0


class Stake(msgspec.Struct, kw_only=True):
    """Who stands behind a position: each strategy's share of the target (they add up to 1), and what one unit loses at their stops,
    in the account currency. Both outlive the target until there is another one: what is still held of it is still theirs. `risk`
    is that of the target, 0 when nothing is wanted.
    """

    risk: float
    unit_risk: float
    shares: dict[str, float]


class Memory(msgspec.Struct, kw_only=True):
    """All that the measures remember: one field of the guardian's state."""

    history: History = msgspec.field(default_factory=History)
    backtest: BackTest = msgspec.field(default_factory=BackTest)
    stakes: dict[str, Stake] = msgspec.field(default_factory=dict)


def define(memory: Memory, instruments: Mapping[str, Instrument], window: int, volume_days: int) -> None:
    """Makes a row for every instrument; those known keep their past. The back-test of today's book is given up."""
    old, count = memory.history, len(instruments)
    new = History(
        rows={instrument_id: row for row, instrument_id in enumerate(instruments)},
        returns=np.zeros((count, window)),
        volumes=np.zeros((count, volume_days)),
        now=np.full(count, nan),
        closes=[nan] * count,
        closed=[-1] * count,
        priced=[-1] * count,
        counts=[0] * count,
        daily=[False] * count,
        weekends=any(instrument.asset_class is AssetClass.CRYPTO for instrument in instruments.values()),
        day=old.day,
        column=old.column,
        version=old.version + 1,
    )
    for instrument_id, row in new.rows.items():
        if instrument_id in old.rows:
            _copy(old, old.rows[instrument_id], new, row)
    memory.history = new
    backtest = memory.backtest
    backtest.weights = backtest.prices = backtest.next_weights = _nothing()
    backtest.var = backtest.next_var = None


def observe(memory: Memory, message: MarketSlice) -> None:
    """Takes in the prices of a slice. Instruments must be defined before."""
    history = memory.history
    day = trading_day(message.ts_event, weekends=history.weekends)
    if day > history.day:
        _settle(memory)
        _close_sampled(history)
        history.volumes[:, :-1] = history.volumes[:, 1:]
        history.volumes[:, -1] = 0.0
        history.day = day
    rows, now, priced = history.rows, history.now, history.priced
    for bar in message.bars:
        row = rows[bar.instrument_id]
        if bar.base:
            now[row], priced[row] = bar.close, history.day
            if bar.volume:
                history.volumes[row, -1] += bar.volume
        if bar.timeframe is Timeframe.D1:
            history.daily[row] = True
            _close(history, row, bar.close)
    for quote in message.quotes:
        row = rows[quote.instrument_id]
        now[row], priced[row] = (quote.bid + quote.ask) / 2, history.day
    if message.ts_event % NS_PER_DAY == 0:
        _close_sampled(history)


def catch_up(memory: Memory, closes: Mapping[str, float], volumes: Mapping[str, Sequence[float]]) -> None:
    """As `observe` slice by slice, of slices within one UTC day and without 1d bars and quotes: the last closes of base bars
    and their volumes, by instrument.
    """
    history = memory.history
    for instrument_id, close in closes.items():
        row = history.rows[instrument_id]
        history.now[row], history.priced[row] = close, history.day
    for instrument_id, units in volumes.items():
        row = history.rows[instrument_id]
        total = float(history.volumes[row, -1])
        for one in units:  # in their order: a sum of floats
            total += one
        history.volumes[row, -1] = total


def trading_day(ts_ns: int, *, weekends: bool) -> int:
    """Number of the UTC day that ends at or after `ts_ns`; a midnight closes the day before it."""
    day = (ts_ns - 1) // NS_PER_DAY
    weekday = (day + 3) % 7  # day 0 was a Thursday
    return day if weekends or weekday < SATURDAY else day + 7 - weekday


def _copy(old: History, source: int, new: History, row: int) -> None:
    width = min(old.returns.shape[1], new.returns.shape[1])
    new.returns[row, -width:] = old.returns[source, -width:]
    days = min(old.volumes.shape[1], new.volumes.shape[1])
    new.volumes[row, -days:] = old.volumes[source, -days:]
    new.now[row] = old.now[source]
    for name in ("closes", "closed", "priced", "daily"):
        getattr(new, name)[row] = getattr(old, name)[source]
    new.counts[row] = min(old.counts[source], width)


def _close_sampled(history: History) -> None:
    """The day is over for instruments without 1d bars: their last price of it is its close."""
    for row, day in enumerate(history.priced):
        if day == history.day and not history.daily[row] and history.closed[row] < day:
            _close(history, row, float(history.now[row]))


def _close(history: History, row: int, px: float) -> None:
    """Books a daily close; a second one on the same day goes on from the first."""
    if history.day > history.column:
        history.returns[:, :-1] = history.returns[:, 1:]
        history.returns[:, -1] = 0.0
        history.column = history.day
        window = history.returns.shape[1]
        history.counts = [
            min(count + 1, window) if last == last else 0
            for count, last in zip(history.counts, history.closes, strict=True)
        ]
    last = history.closes[row]
    if last == last:
        history.returns[row, -1] = (1.0 + history.returns[row, -1]) * (px / last) - 1.0
    history.closes[row], history.closed[row] = px, history.day
    history.version += 1


def _settle(memory: Memory) -> None:
    """A day is over: was its loss covered by the VaR of the evening before? Then the book of now is the next day's."""
    test, now = memory.backtest, memory.history.now
    if test.var is not None and np.any(test.weights):
        held = test.weights != 0.0
        loss = -float(np.add.reduce(test.weights[held] * (now[held] / test.prices[held] - 1.0)))
        _count(test, breached=loss > test.var)
    test.weights, test.var, test.prices = test.next_weights, test.next_var, now.copy()


def _count(test: BackTest, *, breached: bool) -> None:
    test.days += 1
    test.breaches += breached
    if test.breached is not None:
        name = f"n{int(test.breached)}{int(breached)}"
        setattr(test, name, getattr(test, name) + 1)
    test.breached = breached


def stake_of(target: Target) -> Stake:
    """Of a target that wants something."""
    wanted, risk = float(target.signed_qty), float(sum(each.risk for each in target.contributions))
    shares: dict[str, float] = {}
    for each in target.contributions:  # a strategy may speak for several timeframes
        shares[each.strategy_id] = shares.get(each.strategy_id, 0.0) + float(each.signed_qty) / wanted
    return Stake(risk=risk, unit_risk=risk / abs(wanted), shares=shares)
