"""Independent engines make the same trades of the same rule: backtesting.py, and a plain loop that shares no code with ours.

The rule is a cross of averages of 20 and 50 closes, filled at the next open, with a commission and quantities that follow the
equity. Prices are whole numbers of points, so that sums are exact in every engine, and a tie is a tie. That the whole system
trades as the sweep does is shown in test_sweep_against_the_system.py.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from math import floor
from pathlib import Path
from typing import Any, NamedTuple

import empyrical
import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, SHARED_DATA

from common.model.enums import AssetClass, Side, Tier
from common.model.instrument import Instrument
from common.model.time import NS_PER_MINUTE, Timeframe
from common.quant.kernel import Floats, Ints
from common.quant.performance import performance
from research.sweep import book
from research.sweep.grid import Configuration
from research.sweep.measures import measures
from research.sweep.run import Frame, run
from research.sweep.series import Series, Terms, of_bars
from research.sweep.trades import trades
from risk_guardian.history import trading_day

FAST, SLOW = 20, 50
BUDGET, STOP = 0.1, 0.99
TERMS = Terms(cash=1e12, fee=2e-4)
BACKTESTING = ROOT / ".bench" / "backtesting" / "bin" / "python"


class Market(NamedTuple):
    """`ts` int64[bars] is when they close, `ohlc` float64[4, bars] whole numbers of points."""

    timeframe: Timeframe
    ts: Ints
    ohlc: Floats


class Traded(NamedTuple):
    """Bars are those at whose open it filled; `qty` is signed, `profit` after commission."""

    qty: int
    entry: int
    entry_px: float
    exit: int
    exit_px: float
    profit: float


FILES = {
    "SPY daily 2000-2018": ("equities/etf_daily/SPY_D1_2000-2018", "1d", "", 10_000),
    "EURUSD hours 2007-2018": ("fx/h1/EURUSD_H1_oanda_bidask", "1h", "bid_", 100_000),
    "BTC half hours 2017-2023": ("crypto/bars/BTCUSD_M30_2017-2023_snowguru", "30m", "", 100),
}
CASES = ("a walk with many ties", *FILES)


@cache
def market(name: str) -> Market:
    if name not in FILES:
        return walk()
    path, timeframe, prefix, scale = FILES[name]
    file = SHARED_DATA / f"{path}.parquet"
    if not file.is_file():
        pytest.skip(f"needs real market data in {file}")
    table = pq.read_table(file)
    ohlc = np.array([table[f"{prefix}{column}"].to_numpy() for column in ("open", "high", "low", "close")])
    opened = table["timestamp"].to_numpy().astype("datetime64[ns]").astype(np.int64)
    frame = Timeframe(timeframe)
    return Market(frame, opened + frame.ns, np.rint(ohlc * scale))


def walk() -> Market:
    """A coarse grid of prices: averages meet exactly, in passing and in touching."""
    rng = np.random.default_rng(7)
    close = 1_000.0 + np.cumsum(rng.integers(-2, 3, 6_000))
    first = np.concatenate((close[:1], close[:-1])) + rng.integers(-1, 2, close.size)
    ohlc = np.array((first, np.maximum(first, close) + 1, np.minimum(first, close) - 1, close))
    return Market(Timeframe.M30, (1 + np.arange(close.size)) * 30 * NS_PER_MINUTE, ohlc)


def series_of(of: Market, half_spread: int = 0) -> Series:
    instrument = Instrument(
        instrument_id="POINTS.TEST",
        asset_class=AssetClass.EQUITY,
        base="POINTS",
        quote="USD",
        price_increment=Decimal(1),
        qty_increment=Decimal(1),
        half_spread=Decimal(half_spread),
    )
    return of_bars(instrument, of.timeframe, of.ts, of.ohlc, TERMS)


def cross(of: Market) -> Configuration:
    return Configuration(
        symbol="POINTS",
        timeframe=of.timeframe,
        strategy="sma_cross_20_50",
        params={"fast": FAST, "slow": SLOW},
        tier=Tier.CORE,
        stop_fraction=STOP,
        confirmations=1,
        longest=2**62,
        risk=BUDGET,
    )


def fee(qty: int, px: float) -> float:
    return round(abs(qty) * px * TERMS.fee, 6)


def ours(of: Market, half_spread: int = 0) -> list[Traded]:
    bar = {int(ts): i for i, ts in enumerate(of.ts)}
    found = []
    for trade in trades(series_of(of, half_spread), cross(of), TERMS):
        if trade.exit_ns is None or trade.exit_px is None:
            continue
        qty = int(trade.qty) * (1 if trade.side is Side.BUY else -1)
        entry_px, exit_px = float(trade.entry_px), float(trade.exit_px)
        profit = qty * (exit_px - entry_px) - fee(qty, entry_px) - fee(qty, exit_px)
        found.append(Traded(qty, bar[trade.entry_ns], entry_px, bar[trade.exit_ns], exit_px, profit))
    return found


@cache
def by_hand(name: str, half_spread: int = 0) -> tuple[list[Traded], list[float]]:
    """A loop over bars with whole numbers: closed trades, and the equity at every close."""
    of = market(name)
    opens, closes = ([int(px) for px in row] for row in (of.ohlc[0], of.ohlc[3]))
    found: list[Traded] = []
    curve: list[float] = []
    earned, wanted, side, held, since, paid = 0.0, 0, 0, 0, 0, 0
    for i, close in enumerate(closes):
        if wanted != held:
            if held:
                px = opens[i] + (half_spread if held < 0 else -half_spread)
                profit = held * (px - paid) - fee(held, paid) - fee(held, px)
                found.append(Traded(held, since, paid, i, px, profit))
                earned += profit
            held, since = wanted, i
            paid = opens[i] + (half_spread if held > 0 else -half_spread)
        open_profit = held * (close - paid) - fee(held, paid) if held else 0.0
        curve.append(TERMS.cash + earned + open_profit)
        if i < SLOW:
            continue
        gap = SLOW * sum(closes[i + 1 - FAST : i + 1]) - FAST * sum(closes[i + 1 - SLOW : i + 1])
        now = (gap > 0) - (gap < 0)
        if now != side:
            side = now
            wanted = side * floor(curve[-1] * BUDGET / (close * STOP) * (1 + 1e-12))
    return found, curve


def assert_same(mine: Sequence[Traded], theirs: Sequence[Traded]) -> None:
    assert len(mine) > 50
    assert [trade[:5] for trade in mine] == [trade[:5] for trade in theirs]
    assert [trade.profit for trade in mine] == pytest.approx([trade.profit for trade in theirs], rel=1e-9, abs=1e-3)


@pytest.mark.req("RES-01", "RES-04")
@pytest.mark.parametrize("half_spread", [0, 3])
@pytest.mark.parametrize("name", CASES)
def test_a_plain_loop_makes_the_same_trades(name: str, half_spread: int) -> None:
    of = market(name)
    assert_same(ours(of, half_spread), by_hand(name, half_spread)[0])


@pytest.mark.req("RES-01", "RES-04")
@pytest.mark.parametrize("name", CASES)
def test_backtesting_py_makes_the_same_trades(name: str, tmp_path: Path) -> None:
    if not BACKTESTING.is_file():
        pytest.skip("needs backtesting.py in an environment of its own: make bench-engines")
    of = market(name)
    numbers = {"fast": FAST, "slow": SLOW, "budget": BUDGET, "stop": STOP, "cash": TERMS.cash, "fee": TERMS.fee}
    np.savez(tmp_path / "bars.npz", ts=of.ts, ohlc=of.ohlc, **{key: np.array(each) for key, each in numbers.items()})
    command = [BACKTESTING, "-W", "ignore", "-m", "tools.bench_engines.backtesting_trades"]
    subprocess.run([*command, tmp_path / "bars.npz", tmp_path / "trades.npz"], cwd=ROOT, check=True)
    said: dict[str, Any] = dict(np.load(tmp_path / "trades.npz"))
    columns = [said[field].tolist() for field in Traded._fields]
    assert_same(ours(of), [Traded(*row) for row in zip(*columns, strict=True)])
    assert said["equity"].tolist() == pytest.approx(by_hand(name)[1], rel=1e-12)


@pytest.mark.req("PFL-11", "RES-04")
@pytest.mark.parametrize("name", CASES)
def test_metrics_of_the_equity_are_those_of_empyrical(name: str) -> None:
    of = market(name)
    days = np.array([trading_day(int(ts), weekends=False) for ts in of.ts])
    last = np.append(np.flatnonzero(np.diff(days)), days.size - 1)
    outcome = run(series_of(of), [cross(of)], TERMS, Frame(None, of.ts[last]))
    equity = np.concatenate(([TERMS.cash], outcome.equity[:, 0]))
    assert equity[1:] == pytest.approx(np.array(by_hand(name)[1])[last], rel=1e-12)
    returns = equity[1:] / equity[:-1] - 1.0
    held = of.ohlc[3][last]
    benchmark = held / np.append(of.ohlc[0][0], held[:-1]) - 1.0
    measured = performance(returns, 252, benchmark=benchmark)
    expected = {
        key: getattr(empyrical, key)(returns, annualization=252)
        for key in ("annual_return", "annual_volatility", "sharpe_ratio", "sortino_ratio", "calmar_ratio")
    }
    expected |= {"cum_returns_final": empyrical.cum_returns_final(returns)}
    expected |= {"max_drawdown": empyrical.max_drawdown(returns)}
    expected["alpha"], expected["beta"] = empyrical.alpha_beta_aligned(returns, benchmark, annualization=252)
    found = {key: getattr(measured, key) for key in expected}
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)
    (span,) = (each.in_sample for each in measures(outcome, series_of(of), [cross(of)], TERMS))
    assert span.equity == pytest.approx(equity[-1], rel=1e-12)
    assert span.trades == int(outcome.books[book.TRADES, 0]) == len(ours(of))
    counted = returns[1:] if last[0] == 0 else returns  # a first day of a single bar is where returns begin
    assert span.sharpe == pytest.approx(empyrical.sharpe_ratio(counted), rel=1e-9)
    assert span.sortino == pytest.approx(empyrical.sortino_ratio(counted), rel=1e-9)
