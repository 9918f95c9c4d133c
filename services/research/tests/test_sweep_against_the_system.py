"""A sweep trades exactly as the whole system does, where the system's profile comes down to the same rule."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.messages import Message, OrderFilled
from common.model.time import Timeframe, to_datetime
from common.quant.kernel import Floats
from common.runtime.settings import load
from research.run import run as whole_system
from research.summary import Summary
from research.sweep import grid, measures
from research.sweep.run import FAMILIES, Frame, run
from research.sweep.series import Series, read, series, terms
from research.sweep.trades import Trade, trades

HOURS = 1_500
MONDAY_H = 17_168 * 24  # 2 January 2017


def prices(seed: int, level: float) -> Floats:
    """float64[4, hours]: a swinging market with gaps, rounded to the increment."""
    rng = np.random.default_rng(seed)
    swing = 0.0008 * np.sin(np.arange(HOURS) / 19.0)
    close = level * np.exp(np.cumsum(rng.normal(0, 0.0015, HOURS) + swing))
    first = np.concatenate((close[:1], close[:-1])) * np.exp(rng.normal(0, 0.0003, HOURS))
    spread = np.abs(rng.normal(0, 0.0008, (2, HOURS)))
    return np.array(
        [first, np.maximum(first, close) * (1 + spread[0]), np.minimum(first, close) * (1 - spread[1]), close]
    )


def write(folder: Path, name: str, ohlc: Floats, places: int, hours: Floats, volumes: Floats | None = None) -> None:
    rows = ["timestamp,open,high,low,close,volume"]
    traded = np.full(hours.size, 1000) if volumes is None else volumes
    for hour, bar, volume in zip(hours, ohlc.T, traded, strict=True):
        stamp = f"{to_datetime(int(MONDAY_H + hour) * 3600 * 10**9):%Y-%m-%dT%H:%M:%S}"
        rows.append(",".join((stamp, *(f"{px:.{places}f}" for px in bar), f"{volume}")))
    (folder / f"{name}_H1.csv").write_text("\n".join(rows) + "\n")


def config(folder: Path, strategy: str, timeframe: str, params: dict[str, float]) -> dict[str, Any]:
    """The profile fx with limits far away, volatility not read, no rebalance: a rule, and what it costs."""
    made = load("fx")
    made["run"] = {"data": str(folder)}
    made["market_data"] |= {"symbols": [], "timeframes": [timeframe]}
    made["regime"] = {"timeframes": []}
    made["signals"] = {"timeframes": [timeframe], "strategies": [strategy], "params": {strategy: {"NORMAL": params}}}
    made["portfolio"] = {
        "rebalance_hours": 8760,
        "drift_band": 1.0,
        "min_trade_notional": 0.0,
        "max_total_risk": 1.0,
        "risk_per_trade": 0.01,
    }
    made["risk_guardian"] = {
        "limits": {
            "max_order_qty": 1e12,
            "max_order_notional": 1e6,
            "max_position": 1e6,
            "max_gross_exposure": 1e6,
            "max_net_exposure": 1e6,
            "max_leverage": 1e6,
            "max_correlated": 1e6,
            "max_currency": 1e6,
            "max_daily_loss": 1.0,
            "max_drawdown": 1.0,
            "price_collar": 1.0,
            "stale_after_bars": 1e6,
            "max_clock_jump_hours": 1e6,
            "notional_per_minute": 1e9,
        },
        "streaks": {"max_losses": 1000},
        "ladders": {
            "drawdown": [{"trigger": 1.0, "release": 0.9}],
            "daily_loss": [{"trigger": 1.0, "release": 0.9}],
            "correlation": [{"trigger": 1.0, "release": 0.9}],
            "volatility": [{"trigger": 1e9, "release": 1.0}],
            "var": [{"trigger": 1e9, "release": 1.0}],
            "connection": [{"trigger": 1e9, "release": 1.0}],
        },
    }
    return made


def of_the_system(fills: list[OrderFilled]) -> list[Trade]:
    """Fills of one instrument as trades."""
    found: list[Trade] = []
    held = Decimal(0)
    for fill in fills:
        if held * fill.signed_qty < 0:
            assert fill.last_qty == abs(held)
            trade = found[-1]
            found[-1] = Trade(
                side=trade.side,
                qty=trade.qty,
                entry_ns=trade.entry_ns,
                entry_px=trade.entry_px,
                exit_ns=fill.ts_event,
                exit_px=fill.last_px,
            )
        else:
            assert held == 0
            found.append(Trade(side=fill.side, qty=fill.last_qty, entry_ns=fill.ts_event, entry_px=fill.last_px))
        held += fill.signed_qty
    return found


def both(made: dict[str, Any], strategy: str, timeframe: str, params: dict[str, float]) -> tuple[Any, ...]:
    fills: list[OrderFilled] = []

    def watch(message: Message) -> None:
        if isinstance(message, OrderFilled):
            fills.append(message)

    summary = whole_system(made, watchers=[watch])
    (history,) = read(made).values()
    one = grid.one(history.instrument.symbol, Timeframe(timeframe), strategy, params, made)
    of = series(history, Timeframe(timeframe), [history], terms(made))
    return of_the_system(fills), trades(of, one, terms(made)), summary, of, one


CASES = [
    ("sma_cross_20_50", {"fast": 5, "slow": 13}),
    ("sma_cross_50_200", {"fast": 13, "slow": 40}),
    ("ema_cross_20_50", {"fast": 4, "slow": 9}),
    ("ema_cross_50_200", {"fast": 13, "slow": 40}),
    ("price_vs_slow_sma", {"slow": 30}),
    ("triple_ma", {"fast": 4, "slow": 11}),
    ("ma_slope", {"slow": 25}),
    ("macd_signal", {"fast": 12, "slow": 26, "signal": 9}),
    ("envelope_breakout", {"period": 20, "width": 1.5}),
    ("pullback", {"fast": 6, "slow": 60}),
]


@pytest.mark.req("RES-04", "SIG-02")
@pytest.mark.parametrize(("strategy", "params"), CASES, ids=[name for name, _ in CASES])
@pytest.mark.parametrize(("pair", "level", "places"), [("EURUSD", 1.1, 5), ("USDJPY", 120.0, 3)])
def test_every_shipped_strategy_trades_in_a_sweep_as_in_the_system(
    tmp_path: Path, strategy: str, params: dict[str, float], pair: str, level: float, places: int
) -> None:
    write(tmp_path, pair, prices(3, level), places, np.arange(HOURS, dtype=float))
    made = config(tmp_path, strategy, "1h", params)
    theirs, ours, summary, of, one = both(made, strategy, "1h", params)
    assert len(theirs) > 8
    assert list(ours) == theirs
    assert_measures_agree(summary, of, one, made)


@pytest.mark.req("RES-04")
@pytest.mark.parametrize("timeframe", ["4h", "1d"])
@pytest.mark.parametrize("strategy", ["sma_cross_20_50", "envelope_breakout", "pullback"])
def test_signals_of_a_coarser_timeframe_trade_and_stop_on_base_bars_across_holes(
    tmp_path: Path, strategy: str, timeframe: str
) -> None:
    """Weekends are missing, and every 37th hour, so that some orders meet a bar that had opened before they were sent."""
    hours = np.arange(HOURS * 3, dtype=float)
    kept = np.array([hour for hour in hours if (hour % 168) < 118 and hour % 37])[:HOURS]
    params: dict[str, dict[str, float]] = {
        "sma_cross_20_50": {"fast": 2, "slow": 5},
        "envelope_breakout": {"period": 4, "width": 0.4},
    }
    write(tmp_path, "EURUSD", prices(5, 1.1), 5, kept)
    chosen = params.get(strategy, {"fast": 2, "slow": 8})
    made = config(tmp_path, strategy, timeframe, chosen)
    theirs, ours, *_ = both(made, strategy, timeframe, chosen)
    assert len(theirs) >= 3
    assert list(ours) == theirs


@pytest.mark.req("RES-04")
@pytest.mark.parametrize(("confirmations", "hold_factor"), [(3, 1.0), (1, 0.05), (4, 0.1)])
@pytest.mark.parametrize("strategy", ["ema_cross_20_50", "envelope_breakout"])
def test_confirmations_and_holding_times_are_those_of_the_signals_service(
    tmp_path: Path, strategy: str, confirmations: int, hold_factor: float
) -> None:
    write(tmp_path, "EURUSD", prices(8, 1.1), 5, np.arange(HOURS, dtype=float))
    params: dict[str, float] = (
        {"period": 10, "width": 0.8} if strategy == "envelope_breakout" else {"fast": 3, "slow": 8}
    )
    made = config(tmp_path, strategy, "1h", params)
    condition = {"size_factor": 0.7, "stop_fraction": 0.01, "confirmations": confirmations, "hold_factor": hold_factor}
    made["signals"]["normal"] = condition
    theirs, ours, *_ = both(made, strategy, "1h", params)
    assert len(theirs) > 20
    assert list(ours) == theirs


@pytest.mark.req("RES-04")
@pytest.mark.parametrize("timeframe", ["1d", "1w"])
@pytest.mark.parametrize("symbol", ["EUR-USD", "USD-JPY"])
def test_a_quarter_century_of_fixings_trades_the_same(symbol: str, timeframe: str) -> None:
    """The built-in data: closes only, weeks that end without a base bar, pauses of days."""
    params: dict[str, float] = {"fast": 5, "slow": 20}
    made = config(Path("builtin"), "sma_cross_20_50", timeframe, params)
    made["market_data"]["symbols"] = [symbol]
    theirs, ours, *_ = both(made, "sma_cross_20_50", timeframe, params)
    assert len(theirs) > 50
    assert list(ours) == theirs


COSTS = {
    "rates by currency, and slippage": {
        "slippage_bps": 0.7,
        "financing": {
            "rates": {
                "EUR": [{"since": "2016-01-01", "rate": -0.004}, {"since": "2017-01-20", "rate": 0.09}],
                "USD": [{"since": "2010-01-01", "rate": 0.05}, {"since": "2017-02-01", "rate": 0.005}],
            }
        },
    },
    "dear": {"taker_bps": 3.0, "financing": {"markup": 0.9}},
    "none": {"financing": {"enabled": False}},
}


@pytest.mark.req("RES-04", "EXE-04")
@pytest.mark.parametrize("costs", COSTS.values(), ids=COSTS)
@pytest.mark.parametrize("step", [1, 5, 24], ids=["hours", "holes", "a bar a day at 22:00"])
def test_slippage_and_financing_are_those_of_the_paper_venue(tmp_path: Path, costs: dict[str, Any], step: int) -> None:
    """A bar a day at the roll itself books two rolls at once, on days that depend on when the position was opened."""
    hours = np.array([hour for hour in range(HOURS * step) if step == 1 or hour % step == 21 % step], dtype=float)[
        :HOURS
    ]
    write(tmp_path, "EURUSD", prices(4, 1.1), 5, hours)
    made = config(tmp_path, "sma_cross_20_50", "1h", {"fast": 5, "slow": 13})
    made["execution"] = costs
    theirs, ours, summary, of, one = both(made, "sma_cross_20_50", "1h", {"fast": 5, "slow": 13})
    assert len(theirs) > 20
    assert list(ours) == theirs
    assert_measures_agree(summary, of, one, made)


@pytest.mark.req("RES-04", "EXE-04")
@pytest.mark.parametrize("symbol", ["BTCUSD", "BTC-PERP", "AAPL"])
def test_market_impact_borrowing_and_funding_are_those_of_the_paper_venue(tmp_path: Path, symbol: str) -> None:
    """Volumes are small enough for whole ones to be taken; every 50th bar has none."""
    volumes = np.floor(np.random.default_rng(2).uniform(20, 900, HOURS)) * (np.arange(HOURS) % 50 > 0)
    write(tmp_path, symbol, prices(6, 150.0), 2, np.arange(HOURS, dtype=float), volumes)
    made = config(tmp_path, "ema_cross_20_50", "1h", {"fast": 4, "slow": 9})
    made["execution"] = {"slippage_bps": 0.3}
    theirs, ours, summary, of, one = both(made, "ema_cross_20_50", "1h", {"fast": 4, "slow": 9})
    assert len(theirs) > 20
    assert of.depth.shape == (2, HOURS)
    assert list(ours) == theirs
    assert_measures_agree(summary, of, one, made)
    assert any(first.exit_px != then.entry_px for first, then in pairwise(theirs) if first.exit_ns == then.entry_ns)


def assert_measures_agree(summary: Summary, of: Series, one: grid.Configuration, made: dict[str, Any]) -> None:
    outcome = run(of, [one], terms(made), Frame.whole())
    (measured,) = measures.measures(outcome, of, [one], terms(made))
    expected = summary.metrics()
    assert measured.in_sample.equity == pytest.approx(float(summary.equity or 0), abs=1e-6)
    assert measured.in_sample.trades == expected["trades"]
    for ours, theirs in (("sharpe", "sharpe_ratio"), ("sortino", "sortino_ratio"), ("profit_factor", "profit_factor")):
        assert getattr(measured.in_sample, ours) == pytest.approx(expected[theirs], rel=1e-9), ours
    assert measured.in_sample.max_drawdown == pytest.approx(summary.result()["max_drawdown"], rel=1e-9)


def test_the_ten_shipped_strategies_are_all_compared() -> None:
    assert {name for name, _ in CASES} == set(FAMILIES) == set(grid.shipped())
