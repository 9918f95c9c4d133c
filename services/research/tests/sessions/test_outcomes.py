"""What entries came to: from the file of a kept run, and from signals and prices."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import DataError
from common.messages.signals import SignalsStep
from common.model.enums import Direction
from common.model.time import Timeframe, from_datetime
from common.runtime.settings import load
from research.backtest import backtest
from research.fast.market import load_market
from research.sessions.outcomes import Outcome, of_run, of_signals, results, tables
from research.sessions.series import prices_of

HEAD = "entry,exit,instrument,side,qty,entry_px,exit_px,profit,commission,timeframe,regime,session,volume,strategies"
H1 = Timeframe.H1


@pytest.mark.req("REG-11")
def test_trades_of_a_kept_run_are_read_with_costs_in_basis_points_and_pips_without(tmp_path: Path) -> None:
    rows = [
        "2024-01-10T08:00:00Z,2024-01-10T12:00:00Z,EUR-USD.X,LONG,1000,1.1,1.1011,1.0,0.1,1h,RANGING,London,NONE,sma",
        "2024-01-10T09:00:00Z,2024-01-11T12:00:00Z,USD-JPY.X,SHORT,1000,150,151.5,-11.0,1.0,1h,CHOPPY,London,NONE,sma",
        "2024-01-10T09:00:00Z,2024-01-11T12:00:00Z,BTC-USDT.X,LONG,1,100,101,1,0,1h,CHOPPY,London,NONE,sma",
        "2024-01-12T09:00:00Z,,EUR-USD.X,LONG,1000,1.1,,,0.1,1h,RANGING,London,NONE,sma",  # still open
    ]
    (tmp_path / "trades.csv").write_text("\n".join([HEAD, *rows, ""]))
    euro, yen, coin = of_run(tmp_path)
    assert euro.ts == from_datetime_text("2024-01-10T08:00:00+00:00") - 1  # in the bar that closed then
    assert euro.known == from_datetime_text("2024-01-10T12:00:00+00:00")
    assert euro.pips == pytest.approx(11)
    assert euro.bps == pytest.approx(10.0 * 1.0 / 1.1)  # 1.1 dollars before commission, 1.0 after
    assert yen.pips == pytest.approx(-150)
    assert yen.bps == pytest.approx(-100.0 * 11.0 / 10.0)
    assert (coin.pips, coin.bps) == (None, pytest.approx(100))


def from_datetime_text(text: str) -> int:
    return from_datetime(datetime.fromisoformat(text))


@pytest.mark.req("REG-11")
@pytest.mark.parametrize("content", [None, "a,b\n1,2\n", f"{HEAD}\nyesterday,x,EUR-USD.X,LONG,1,1,1,1,1,1h,-,-,-,-\n"])
def test_a_file_that_is_none_of_a_kept_run_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "trades.csv").write_text(content)
    with pytest.raises(DataError, match=r"trades\.csv"):
        of_run(tmp_path)


@pytest.mark.req("REG-11")
def test_results_by_session_have_a_cell_for_all_regimes_and_one_for_each() -> None:
    start = from_datetime_text("2024-01-10T09:00:00+00:00")
    made = [
        Outcome(start, start + 1, "EUR-USD.X", "1h", regime, bps, bps)
        for regime, bps in zip("AAB", (5.0, -1.0, 2.0), strict=True)
    ]
    found = {(row.session, row.regime): row for row in results(made)}
    assert set(found) == {("London", "all"), ("London", "A"), ("London", "B")}
    assert found["London", "all"].signals == 3
    assert found["London", "all"].win_rate.value == pytest.approx(2 / 3)
    assert found["London", "A"].bps.value == pytest.approx(2.0)


@pytest.mark.req("REG-12")
def test_entries_of_one_instant_are_one_piece_of_evidence() -> None:
    made = [
        Outcome(10, 20, "A", "1h", "R", 4.0, None),
        Outcome(10, 30, "A", "4h", "R", 0.0, None),
        Outcome(5, 6, "A", "1h", "R", 1.0, None),
    ]
    (table,) = tables(made)
    assert table.ts.tolist() == [5, 10]
    assert table.known.tolist() == [6, 30]
    assert table.bps.tolist() == [1.0, 2.0]


@pytest.mark.req("REG-11")
def test_signals_are_those_of_the_plain_run_and_judged_by_its_prices() -> None:
    config: dict[str, Any] = load("fx")
    config["market_data"]["symbols"] = []
    config["signals"]["timeframes"] = ["1h"]
    config["run"] = {
        "data": "builtin-h1",
        "start_ns": from_datetime_text("2017-03-01T00:00:00+00:00"),
        "end_ns": from_datetime_text("2017-03-20T00:00:00+00:00"),
    }
    market = load_market(config)
    assert market is not None
    (prices,) = prices_of(market, config, [H1])
    found, left = of_signals(config, market, [prices], 4)
    said = [
        (message.ts_event, one.direction, one.ref_px)
        for message in backtest(config)
        if isinstance(message, SignalsStep)
        for one in message.signals
        if one.direction is not Direction.FLAT
    ]
    close = dict(zip(prices.closes.tolist(), range(prices.closes.size), strict=True))
    assert len(found) + left == len(said) > 30
    expected = []
    for ts, direction, px in said:
        row = close[ts]
        if row + 4 < prices.close.size:
            gross = direction.sign * (prices.close[row + 4] - px)
            expected.append((ts, round(float(gross / 0.0001), 6), round(float((gross - 0.0001) / px * 1e4), 6)))
    assert sorted((one.ts, round(one.pips or 0.0, 6), round(one.bps, 6)) for one in found) == sorted(expected)


@pytest.mark.req("REG-11")
def test_what_was_known_before_a_bar_does_not_change_with_the_bar() -> None:
    config: dict[str, Any] = load("fx")
    config["market_data"]["symbols"] = []
    config["run"] = {"data": "builtin-h1", "end_ns": from_datetime_text("2017-03-01T00:00:00+00:00")}
    market = load_market(config)
    assert market is not None
    (whole,) = prices_of(market, config, [H1])
    config["run"]["end_ns"] = int(whole.closes[500])
    shorter = load_market(config)
    assert shorter is not None
    (part,) = prices_of(shorter, config, [H1])
    for name in ("atr", "regime"):
        assert np.array_equal(getattr(whole, name)[: part.closes.size], getattr(part, name), equal_nan=True)
    assert np.isnan(part.atr[0])
    with pytest.raises(DataError, match="no bars of 1m"):
        prices_of(shorter, config, [Timeframe.M1])
