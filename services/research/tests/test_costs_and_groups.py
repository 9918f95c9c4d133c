"""What holding costs is shown where money is counted, and results are told by what trades have in common, in both engines alike."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.messages import FinancingCharged, InstrumentsDefined, MarketSlice, OrderFilled, PortfolioStep, RegimeStep
from common.messages.market_data import Bar
from common.messages.portfolio import Contribution, Target
from common.messages.regime import RegimeReading
from common.model.enums import Regime, Side
from common.model.instrument import Instrument
from common.model.time import Timeframe, to_datetime
from common.runtime.settings import load
from common.testing.builders import EUR_USD, T0, a
from research.chronicle import Chronicle
from research.fast.engine import Stretch
from research.grouping import groups
from research.report.attribution import NOBODY
from research.report.facts import gather
from research.report.page import page
from research.report.volume import USUAL_DAYS, VolumeLevel, Volumes
from research.run import stream
from research.summary import Summary

YEN = "USD-JPY.ECB"
MONDAY = 17_168 * 86_400  # 2 January 2017, in seconds


def write(folder: Path, symbols: dict[str, float]) -> Path:
    """Half hours of weekdays with volumes that are larger on some days."""
    folder.mkdir()
    rng = np.random.default_rng(11)
    times = MONDAY + 1800 * np.arange(120 * 48)
    times = times[(times // 86_400 + 3) % 7 < 5]
    for name, start in symbols.items():
        closes = np.round(start * np.exp(np.cumsum(rng.normal(0, 0.0012, times.size))), 5)
        opens = np.concatenate([closes[:1], closes[:-1]])
        volumes = rng.integers(50, 150, times.size) * rng.choice([1, 1, 1, 3], 200)[(times - MONDAY) // 86_400]
        rows = ["timestamp,open,high,low,close,volume"]
        for ts, o, c, volume in zip(*(one.tolist() for one in (times, opens, closes, volumes)), strict=True):
            stamp = f"{to_datetime(ts * 10**9):%Y-%m-%dT%H:%M:%S}"
            rows.append(f"{stamp},{o!r},{max(o, c) * 1.0005!r},{min(o, c) * 0.9995!r},{c!r},{volume}")
        (folder / f"{name}_M30.csv").write_text("\n".join(rows) + "\n")
    return folder


def config(folder: Path) -> dict[str, Any]:
    """Entries in the middle of days."""
    made = load("fx")
    made["market_data"]["symbols"] = []
    made["signals"]["timeframes"] = ["4h", "1d"]
    made["portfolio"]["rebalance_hours"] = 22
    made["risk_guardian"]["limits"]["max_var_95_1d"] = 0.0
    made["run"] = {"profile": "fx", "data": str(folder)}
    return made


def told(made: dict[str, Any], *, plain: bool) -> tuple[Summary, Chronicle]:
    engine, messages = stream(made, plain=plain)
    assert engine == ("plain" if plain else "fast")
    summary, chronicle = Summary(engine), Chronicle()
    for message in messages:
        for fold in (summary, chronicle):
            if isinstance(message, Stretch):
                fold.pass_over(message)
            else:
                fold.see(message)
    return summary, chronicle


Run = tuple[dict[str, Any], Summary, Chronicle]


@pytest.fixture(scope="module")
def dollars(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in which all money is of one currency."""
    made = config(write(tmp_path_factory.mktemp("dollars") / "data", {"EURUSD": 1.1}))
    return made, *told(made, plain=False)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Run:
    symbols = {"EURUSD": 1.1, "USDJPY": 110.0, "GBPUSD": 1.25}
    made = config(write(tmp_path_factory.mktemp("many") / "data", symbols))
    return made, *told(made, plain=False)


# --- financing ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("RES-02", "RES-09")
def test_financing_is_counted_in_the_account_currency_and_what_is_received_is_below_zero() -> None:
    summary, chronicle = Summary(), Chronicle()
    euro, yen = a(Instrument), a(Instrument, instrument_id=YEN, base="USD", quote="JPY")
    prices = tuple(a(Bar, instrument_id=name, close=px) for name, px in ((EUR_USD, 1.1), (YEN, 125.0)))
    before = summary.digest()
    for message in (
        a(InstrumentsDefined, account_currency="USD", instruments=(euro, yen), base_timeframes=(Timeframe.D1,) * 2),
        a(MarketSlice, bars=prices, quotes=()),
        a(FinancingCharged, instrument_id=YEN, amount=Decimal(-500), currency="JPY"),
        a(FinancingCharged, instrument_id=EUR_USD, amount=Decimal("1.5"), currency="USD"),
    ):
        summary.see(message)
        chronicle.see(message)
    assert summary.result()["costs"] == {"commission": 0.0, "financing": 2.5, "turnover": 0.0}
    assert {name: one.financing for name, one in chronicle.costs.items()} == {YEN: 4.0, EUR_USD: -1.5}
    assert summary.digest() == before


@pytest.mark.req("RES-09")
def test_where_all_money_is_of_one_currency_moves_commission_and_financing_are_the_profit(dollars: Run) -> None:
    _, summary, chronicle = dollars
    costs, [paid] = summary.result()["costs"], chronicle.costs.values()
    assert costs["financing"] == round(paid.financing, 2) > 5
    profit = float(summary.daily()[1][-1]) - 100_000
    assert sum(chronicle.earnings().values()) - paid.commission - paid.financing == pytest.approx(profit, abs=1e-4)


@pytest.mark.req("RES-09")
def test_the_page_tells_what_holding_cost_and_its_parts_add_up_to_the_cent(many: Run) -> None:
    _, summary, _ = many
    shown = page(gather(*many))
    figures = dict(re.findall(r"<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", shown))
    assert figures["Financing"] == f"{summary.result()['costs']['financing']:,.2f}"
    table = re.search(r"Where the profit came from.*?<tbody>(.*?)</tbody>", shown)
    assert table is not None
    rows = dict(re.findall(r"<tr><td>(.*?)</td><td[^>]*>(.*?)</td></tr>", table[1]))
    *parts, profit = (Decimal(value.replace(",", "")) for value in rows.values())
    assert sum(parts) == profit == Decimal(str(summary.result()["equity"])) - 100_000
    assert Decimal(rows["Financing: interest, swap, funding"]) == -Decimal(str(summary.result()["costs"]["financing"]))


# --- the same from both engines ------------------------------------------------------------------------------------------


@pytest.mark.req("RES-01", "RES-02")
def test_both_engines_tell_the_same_trades_costs_and_groups(many: Run) -> None:
    made, summary, quick = many
    in_full, plain = told(made, plain=True)
    assert summary.handled < 0.7 * in_full.handled
    assert quick.all_trades() == plain.all_trades()
    assert len({trade.regime for trade in quick.trades}) > 2
    assert quick.costs == plain.costs
    assert summary.result() == in_full.result()
    assert groups(quick) == groups(plain)


@pytest.mark.req("RES-02")
@pytest.mark.parametrize(
    ("since", "regime"),
    [((), "TRENDING_UP"), ((Regime.VOLATILE,), "VOLATILE")],
    ids=["a step that was skipped", "a step that was handled"],
)
def test_the_regime_at_the_entry_is_the_last_one_wherever_it_was_read(since: tuple[Regime, ...], regime: str) -> None:
    def read(name: Regime) -> RegimeReading:
        return a(RegimeReading, instrument_id=EUR_USD, timeframe=Timeframe.H4, regime=name)

    chronicle = Chronicle()
    chronicle.see(a(RegimeStep, readings=(read(Regime.RANGING),)))
    chronicle.pass_over(Stretch(9, 9, 0, {EUR_USD: 1.1}, (), lambda: (read(Regime.TRENDING_UP),)))
    for name in since:
        chronicle.see(a(RegimeStep, readings=(read(name),)))
    behind = a(Contribution, timeframe=Timeframe.H4, signed_qty=Decimal(500))
    target = a(Target, instrument_id=EUR_USD, signed_qty=Decimal(500), held_qty=Decimal(0), contributions=(behind,))
    chronicle.see(a(PortfolioStep, targets=(target,), orders=()))
    chronicle.see(a(OrderFilled, instrument_id=EUR_USD, side=Side.BUY, ts_event=T0))
    assert [trade.regime for trade in chronicle.all_trades()] == [regime]


# --- groups ---------------------------------------------------------------------------------------------------------------


@pytest.mark.req("RES-02")
def test_groups_hold_every_closed_trade_once_and_their_profits_add_up(dollars: Run) -> None:
    _, summary, chronicle = dollars
    found, trades = groups(chronicle), chronicle.trades
    net = sum(trade.profit or 0.0 for trade in trades)
    for kind in ("regime", "session", "volume"):
        assert sum(one["trades"] for one in found[kind].values()) == summary.metrics()["trades"] == len(trades) > 10
        assert sum(one["profit"] for one in found[kind].values()) == pytest.approx(net, abs=0.05)
    before_commission = net + sum(trade.commission for trade in trades)
    for kind in ("strategy", "timeframe"):
        assert sum(one["profit"] for one in found[kind].values()) == pytest.approx(before_commission, abs=0.1)
        assert all(one["trades"] <= len(trades) for one in found[kind].values())
    assert set(found["strategy"]) - {NOBODY[0]} == {name for trade in trades for name, _ in trade.earned} - {NOBODY[0]}
    assert {"4h", "1d"} <= set(found["timeframe"])
    assert {"LOW", "HIGH", "NONE"} <= set(found["volume"])


@pytest.mark.req("RES-02")
def test_a_group_is_judged_by_its_own_trades(dollars: Run) -> None:
    _, _, chronicle = dollars
    for level, one in groups(chronicle)["volume"].items():
        profits = [trade.profit or 0.0 for trade in chronicle.trades if trade.volume == level]
        won, lost = sum(p for p in profits if p > 0), -sum(p for p in profits if p < 0)
        assert one["win_rate"] == sum(p > 0 for p in profits) / len(profits)
        assert one["profit_factor"] == (pytest.approx(won / lost) if lost else None)


def day(volume: float, *, frame: Timeframe = Timeframe.D1) -> Bar:
    return a(Bar, instrument_id=EUR_USD, timeframe=frame, volume=volume)


@pytest.mark.req("RES-02")
@pytest.mark.parametrize(
    ("days", "level"),
    [
        ([100.0] * USUAL_DAYS + [126.0], VolumeLevel.HIGH),
        ([100.0] * USUAL_DAYS + [125.0], VolumeLevel.NORMAL),
        ([100.0] * USUAL_DAYS + [74.0], VolumeLevel.LOW),
        ([900.0] + [100.0] * USUAL_DAYS + [100.0], VolumeLevel.NORMAL),  # what is long past does not count
        ([100.0] * (USUAL_DAYS - 1) + [126.0], VolumeLevel.NONE),
        ([100.0] * USUAL_DAYS + [0.0], VolumeLevel.NONE),
        ([0.0] * (USUAL_DAYS + 1), VolumeLevel.NONE),
        ([], VolumeLevel.NONE),
    ],
)
def test_the_volume_is_judged_against_the_days_before(days: list[float], level: VolumeLevel) -> None:
    volumes = Volumes()
    for volume in days:
        volumes.see(day(volume))
        volumes.see(day(10_000.0, frame=Timeframe.H1))
    assert volumes.level(EUR_USD) is level
