"""A run is set beside what one could have held, beside bitcoin, and beside its targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.messages import ExecutionStep, InstrumentsDefined, MarketSlice, PortfolioStep
from common.messages.market_data import Bar
from common.model.instrument import Instrument
from common.model.ledger import Position
from common.model.money import ZERO, Decimal
from common.model.time import NS_PER_DAY, Timeframe
from common.testing.builders import a
from research.chronicle import Chronicle
from research.comparison import against_targets, compared
from research.summary import Summary

MONDAY = 17_168 * NS_PER_DAY  # 2 January 2017


def days(count: int) -> list[int]:
    """Ends of weekdays from a Monday on."""
    return [MONDAY + (day + 1) * NS_PER_DAY for day in range(count) if day % 7 < 5]


def run(px: dict[str, list[float]], held: dict[str, float]) -> tuple[Summary, Chronicle]:
    """A book that holds `held` from the first day on, of a cash of 100,000."""
    summary, chronicle = Summary(), Chronicle()
    instruments = tuple(
        a(Instrument, instrument_id=name, base=name.split("-")[0], quote="USD", asset_class="FX") for name in px
    )
    positions = tuple(
        Position(instrument_id=name, signed_qty=Decimal(str(qty)), avg_px=ZERO) for name, qty in held.items()
    )
    frames = (Timeframe.D1,) * len(px)
    said: list[Any] = [a(InstrumentsDefined, account_currency="USD", instruments=instruments, base_timeframes=frames)]
    count = len(next(iter(px.values())))
    for step, ts in enumerate(days(2 * count)[:count], start=1):
        now = {name: series[step - 1] for name, series in px.items()}
        worth = sum(qty * (now[name] - px[name][0]) for name, qty in held.items())
        common: dict[str, Any] = {"ts_event": ts, "book": "fx", "step": step}
        bars = tuple(
            a(Bar, instrument_id=name, timeframe=Timeframe.D1, open=at, high=at, low=at, close=at)
            for name, at in now.items()
        )
        said.append(MarketSlice(**common, bars=bars))
        said.append(ExecutionStep(**common, cash={}, positions=positions, open_orders=()))
        equity = Decimal(repr(100_000 + worth))
        said.append(PortfolioStep(**common, equity=equity, gross_exposure=ZERO, net_exposure=ZERO, total_risk=ZERO))
    for message in said:
        summary.see(message)
        chronicle.see(message)
    return summary, chronicle


def walk(seed: int, count: int = 200) -> list[float]:
    return (100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, count)))).tolist()


@pytest.mark.req("PFL-11")
def test_a_book_that_is_bitcoin_moves_with_bitcoin() -> None:
    found = compared(*run({"BTC-USD": walk(1), "AAA-USD": walk(2)}, {"BTC-USD": 100.0}))
    assert found["btc_correlation"] == pytest.approx(1.0, abs=0.05)
    assert found["diversification_ratio"] == pytest.approx(1.0)


@pytest.mark.req("PFL-11")
def test_positions_that_offset_each_other_diversify() -> None:
    found = compared(*run({"AAA-USD": walk(1), "BBB-USD": walk(2)}, {"AAA-USD": 100.0, "BBB-USD": 100.0}))
    assert found["btc_correlation"] is None
    assert 1.2 < (found["diversification_ratio"] or 0) < 1.7


@pytest.mark.req("PFL-11")
def test_a_book_that_buys_and_holds_all_alike_is_its_own_benchmark() -> None:
    px = {"AAA-USD": walk(1), "BBB-USD": walk(2)}
    found = compared(*run(px, {name: 50_000 / series[0] for name, series in px.items()}))
    assert found["beta"] == pytest.approx(1.0)
    assert found["alpha"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.req("PFL-11")
def test_weekends_and_weekly_bars_make_no_trading_days() -> None:
    summary, _ = run({"AAA-USD": walk(1)}, {})
    before = summary.daily()[0].size
    sunday = summary.daily()[0][-1] + 2 * NS_PER_DAY
    summary.see(a(PortfolioStep, ts_event=int(sunday), equity=Decimal(100_000)))
    assert summary.daily()[0].size - before in {0, 1}
    assert before == 200


@pytest.mark.req("PFL-11")
def test_targets_are_met_missed_or_undefined() -> None:
    found = against_targets({"sharpe_ratio": 1.6, "max_drawdown": -0.2, "win_rate": None, "btc_correlation": 0.1})
    met = {name: one["met"] for name, one in found.items()}
    assert met == {
        "sharpe_ratio": True,
        "max_drawdown": False,
        "win_rate": None,
        "profit_factor": None,
        "btc_correlation": True,
    }
