"""A report says what the run was: its sums agree with the summary, its text cannot harm, and it needs no network."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages import (
    InstrumentsDefined,
    MarketSlice,
    Message,
    OrderDenied,
    OrderFilled,
    PortfolioStep,
    TradingStateChanged,
)
from common.messages.market_data import Bar
from common.messages.portfolio import Contribution, Target
from common.model.enums import Side, TradingState
from common.model.instrument import Instrument
from common.model.time import NS_PER_DAY, Timeframe, from_datetime
from common.quant import overfitting, performance
from common.runtime.settings import load
from common.testing.builders import EUR_USD, T0, a
from research.backtest import backtest
from research.chronicle import Chronicle
from research.report import series
from research.report.attribution import NOBODY, Share
from research.report.belief import believe
from research.report.facts import gather
from research.report.page import page, write
from research.summary import Summary

YEN = "USD-JPY.ECB"
CHROMIUM = shutil.which("chromium")
EVIL = '</script><script>document.title="harmed"</script><img src=x onerror=alert(1)>&amp;'


def ns(year: int, month: int = 1, day: int = 1, hour: int = 0) -> int:
    return from_datetime(datetime(year, month, day, hour, tzinfo=UTC))


def settings(start: int, end: int) -> dict[str, Any]:
    config = load("fx")
    config["run"] = {"profile": "fx", "data": "builtin", "start_ns": start, "end_ns": end}
    return config


@pytest.fixture(scope="module")
def run() -> tuple[dict[str, Any], Summary, Chronicle]:
    config = settings(ns(2010), ns(2011, 6))
    summary, chronicle = Summary(), Chronicle()
    for message in backtest(config):
        summary.see(message)
        chronicle.see(message)
    return config, summary, chronicle


# --- the course of a run --------------------------------------------------------------------------------------------------
def instruments() -> InstrumentsDefined:
    euro, yen = a(Instrument), a(Instrument, instrument_id=YEN, base="USD", quote="JPY", half_spread=Decimal("0.01"))
    return a(
        InstrumentsDefined,
        account_currency="USD",
        instruments=(euro, yen),
        base_timeframes=(Timeframe.D1, Timeframe.D1),
    )


def bars(day: int, euro: float, yen: float) -> MarketSlice:
    made = [a(Bar, instrument_id=name, close=px, spread_close=None) for name, px in ((EUR_USD, euro), (YEN, yen))]
    return a(MarketSlice, ts_event=T0 + day * NS_PER_DAY, step=day + 1, bars=tuple(made), quotes=())


def fill(name: str, side: Side, qty: int, px: str, **others: Any) -> OrderFilled:
    quote = "USD" if name == EUR_USD else "JPY"
    return a(
        OrderFilled,
        instrument_id=name,
        side=side,
        last_qty=Decimal(qty),
        last_px=Decimal(px),
        ref_px=Decimal(px),
        slippage_bps=0.0,
        commission=others.pop("commission", Decimal(0)),
        commission_currency=quote,
        maker=False,
        **others,
    )


def told(*messages: Message) -> Chronicle:
    chronicle = Chronicle()
    for message in (instruments(), *messages):
        chronicle.see(message)
    return chronicle


def test_a_round_trip_in_a_foreign_currency_is_worth_what_its_exit_rate_makes_of_it() -> None:
    chronicle = told(
        bars(0, 1.1, 100.0),
        fill(YEN, Side.SELL, 1000, "100", ts_event=T0, commission=Decimal(10)),
        fill(YEN, Side.BUY, 400, "95", ts_event=T0 + 1),
        fill(YEN, Side.BUY, 600, "80", ts_event=T0 + 2, commission=Decimal(30)),
    )
    [trade] = chronicle.trades
    assert (trade.side, trade.qty, trade.entry_px(), trade.exit_px()) == ("SHORT", 1000, 100.0, 86.0)
    assert trade.profit == pytest.approx((1000 * 100 - 400 * 95 - 600 * 80 - 10 - 30) / 80)
    assert trade.commission == pytest.approx(10 / 100 + 30 / 80)
    assert chronicle.costs[YEN].spread == pytest.approx(0.01 * (1000 / 100 + 400 / 95 + 600 / 80))


def test_a_trade_names_those_who_wanted_it_the_largest_share_first() -> None:
    def wants(name: str, qty: int) -> Contribution:
        return a(Contribution, strategy_id=name, timeframe="1d", signed_qty=Decimal(qty))

    behind = (wants("small", 100), wants("against", -300), wants("large", 700))
    target = a(Target, instrument_id=EUR_USD, signed_qty=Decimal(500), held_qty=Decimal(0), contributions=behind)
    step = a(PortfolioStep, targets=(target,), orders=())
    chronicle = told(bars(0, 1.1, 100.0), step, fill(EUR_USD, Side.BUY, 500, "1.1"), bars(1, 1.2, 100.0))
    [trade] = chronicle.all_trades()
    assert trade.strategies == ("large", "small")
    assert {key[0]: round(profit, 9) for (_, key), profit in chronicle.earnings().items()} == {
        "small": 10.0,
        "against": -30.0,
        "large": 70.0,
    }


qty = st.integers(-50, 50)
wishes = st.lists(st.tuples(st.sampled_from("abc"), qty), max_size=4)
steps = st.lists(st.tuples(st.booleans(), wishes, qty, st.integers(50, 150)), max_size=20)


@pytest.mark.req("RES-09")
@given(steps)
def test_what_the_strategies_earned_adds_up_to_what_the_position_earned(
    moves: list[tuple[bool, Any, int, int]],
) -> None:
    share, held, last, whole, parts = Share(), 0, 0, 0.0, 0.0
    for fills, wanted, change, px in moves:
        whole += held * (px - last) * 2.0 if fills or change == 0 else 0.0
        if fills:
            parts += sum(share.fill(change, px, 2.0).values())
            held, last = held + change, px
            continue
        made = [a(Contribution, strategy_id=name, signed_qty=Decimal(one)) for name, one in wanted]
        parts += sum(share.aim(made, reached=change == 0, px=px, rate=2.0).values())
        last = px if change == 0 else last
    assert parts == pytest.approx(whole, abs=1e-6)


def test_nobody_earns_on_what_nobody_wanted() -> None:
    share = Share()
    share.fill(100, 1.0, 1.0)
    assert share.earn(1.5, 1.0) == {NOBODY: 50.0}


@pytest.mark.req("RES-09")
def test_trades_and_costs_are_those_of_the_summary(run: tuple[dict[str, Any], Summary, Chronicle]) -> None:
    _, summary, chronicle = run
    metrics, result = summary.metrics(), summary.result()
    profits = [trade.profit for trade in chronicle.trades if trade.profit is not None]
    assert len(profits) == metrics["trades"] > 30
    assert performance.win_rate(profits) == metrics["win_rate"]
    assert performance.profit_factor(profits) == metrics["profit_factor"]
    assert round(sum(one.commission for one in chronicle.costs.values()), 2) == result["costs"]["commission"]
    assert sum(one.turnover for one in chronicle.costs.values()) == pytest.approx(result["costs"]["turnover"], abs=0.01)
    assert sum(one.count for one in chronicle.denied.values()) == result["orders"]["denied"] > 0
    assert sum(one.count for one in chronicle.quarantined.values()) == result["quarantined"]


# --- curves ---------------------------------------------------------------------------------------------------------------
levels = st.lists(st.floats(1, 1000), min_size=2, max_size=200)


@given(levels)
def test_months_compound_to_the_whole(equity: list[float]) -> None:
    ts = [ns(2020) + (at * 9 + 1) * NS_PER_DAY for at in range(len(equity))]
    table = series.monthly(ts, equity, 500.0)
    months = np.prod([1 + value for row in table.values() for at, value in row.items() if at])
    years = np.prod([1 + row[0] for row in table.values()])
    assert months == pytest.approx(equity[-1] / 500.0)
    assert years == pytest.approx(equity[-1] / 500.0)


def test_a_midnight_belongs_to_the_month_that_it_ends() -> None:
    assert list(series.monthly([ns(2020, 2, 1)], [110.0], 100.0)[2020]) == [1, 0]


@given(levels)
def test_falls_are_disjoint_and_the_deepest_is_the_worst_drawdown(equity: list[float]) -> None:
    curve = np.array(equity)
    found = series.falls(curve, most=len(equity))
    assert max((fall.depth for fall in found), default=0.0) == pytest.approx(float(series.drawdown(curve).max()))
    in_time = sorted(found, key=lambda fall: fall.peak)
    assert all(one.recovered is not None and one.recovered <= other.peak for one, other in pairwise(in_time))
    assert all(curve[fall.trough] == pytest.approx(curve[fall.peak] * (1 - fall.depth)) for fall in found)


@given(levels)
def test_thinning_keeps_the_ends_and_the_extremes(equity: list[float]) -> None:
    curve = np.array(equity)
    kept = series.thinned(curve, buckets=7)
    assert kept[0] == 0
    assert kept[-1] == curve.size - 1
    assert curve[kept].min() == curve.min()
    assert curve[kept].max() == curve.max()
    assert kept.size <= max(14, 2 * 7 + 2)


def test_a_rolling_sharpe_ratio_is_the_sharpe_ratio_of_its_window() -> None:
    returns = np.random.default_rng(3).normal(0.001, 0.01, 300)
    rolling = series.rolling_sharpe(returns, 63, 252)
    assert np.isnan(rolling[:62]).all()
    assert rolling[200] == pytest.approx(performance.sharpe_ratio(returns[138:201], 252))


def test_buy_and_hold_splits_the_cash_and_waits_for_what_is_not_quoted_yet() -> None:
    defined = {one.instrument_id: one for one in instruments().instruments}
    closes = {EUR_USD: {0: 1.0, 1: 1.1, 3: 1.2}, YEN: {1: 100.0, 2: 125.0}}
    held = series.buy_and_hold(closes, defined, "USD", np.arange(4), 1000.0)
    # 500 euros; and 500 dollars bought with yen, whose profit is in yen.
    assert held == pytest.approx([1000, 1050, 1050 + 500 * 25 / 125, 1100 + 500 * 25 / 125])
    assert series.buy_and_hold({}, defined, "USD", np.arange(4), 1000.0) is None


# --- belief ---------------------------------------------------------------------------------------------------------------
@pytest.mark.req("RES-09")
def test_a_small_sample_is_warned_of() -> None:
    returns = np.random.default_rng(1).normal(0.001, 0.01, 400)
    small = believe(returns, 252, years=0.5, trades=29, trials=(), held_out=False)
    assert [word in " ".join(small.warnings) for word in ("29 closed trades", "6.0 months")] == [True, True]
    assert believe(returns, 252, years=1.0, trades=30, trials=(), held_out=False).warnings == ()


@pytest.mark.req("RES-04")
def test_the_sharpe_ratio_is_deflated_by_what_is_known_to_have_been_tried() -> None:
    returns = np.random.default_rng(1).normal(0.001, 0.01, 400)
    tried = [0.02, -0.05, 0.08, 0.1]
    seen = overfitting.moments(returns)
    assert seen is not None
    judged = believe(returns, 252, years=2, trades=99, trials=tried, held_out=True)
    assert judged.deflated == overfitting.deflated_sharpe(seen, 4, float(np.var(tried, ddof=1)))
    assert judged.above_zero == overfitting.probabilistic_sharpe(seen)
    assert believe(returns, 252, years=2, trades=99, trials=tried[:1], held_out=True).deflated is None


# --- the page -------------------------------------------------------------------------------------------------------------
@pytest.mark.req("RES-09")
def test_the_page_shows_the_figures_of_the_summary(run: tuple[dict[str, Any], Summary, Chronicle]) -> None:
    config, summary, chronicle = run
    shown = page(gather(config, summary, chronicle))
    result, metrics = summary.result(), summary.metrics()
    figures = dict(re.findall(r"<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", shown))
    assert figures["Equity"] == f"{result['equity']:,.2f}"
    assert figures["Worst drawdown"] == f"{result['max_drawdown'] * 100:.2f} %"
    assert figures["Sharpe ratio"] == f"{metrics['sharpe_ratio']:.2f}"
    assert figures["Closed trades"] == f"{metrics['trades']:.0f}"
    assert figures["Refused orders"] == f"{result['orders']['denied']:,}"
    assert '<dd class="target">target 10 %</dd>' in shown
    start = Decimal(100_000)
    assert figures["Profit"] == f"{Decimal(str(result['equity'])) - start:+,.2f}"
    assert "Nothing was held out" in shown


@pytest.mark.req("RES-09")
def test_the_page_names_nothing_outside_itself(run: tuple[dict[str, Any], Summary, Chronicle]) -> None:
    shown = page(gather(*run))
    without_namespace = shown.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|\bsrc=|\bhref=|@import|url\(|\bfetch\(|XMLHttpRequest", without_namespace)
    assert "default-src 'none'" in shown
    assert len(shown.encode()) < 1_000_000


def harmful(run: tuple[dict[str, Any], Summary, Chronicle]) -> str:
    """A page with a strategy, a reason, a key and a title that try to be more than text."""
    config, summary, _ = run
    target = a(
        Target,
        instrument_id=EUR_USD,
        signed_qty=Decimal(500),
        held_qty=Decimal(0),
        contributions=(a(Contribution, strategy_id=EVIL, signed_qty=Decimal(500)),),
    )
    chronicle = told(
        bars(0, 1.1, 100.0),
        a(PortfolioStep, targets=(target,), orders=()),
        fill(EUR_USD, Side.BUY, 500, "1.1"),
        bars(1, 1.2, 100.0),
        a(OrderDenied, detail=EVIL),
        a(TradingStateChanged, state=TradingState.HALTED, reason=EVIL),
    )
    return page(gather({**config, EVIL: {EVIL: EVIL}}, summary, chronicle), title=EVIL)


def test_no_text_of_a_run_becomes_markup(run: tuple[dict[str, Any], Summary, Chronicle]) -> None:
    shown = harmful(run)
    assert shown.count("<script") == shown.count("</script>") == 2
    assert "<img" not in shown
    assert "Trading was halted on" in shown


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")
def test_a_browser_draws_every_chart_and_runs_nothing_but_ours(
    run: tuple[dict[str, Any], Summary, Chronicle], tmp_path: Path
) -> None:
    write(tmp_path / "fine.html", *run)
    (tmp_path / "harmful.html").write_text(harmful(run))
    drawn = browse(tmp_path / "fine.html", tmp_path)
    assert drawn.count('role="img"') == 5
    assert "1 to 25 of" in drawn
    assert "<title>harmed" not in browse(tmp_path / "harmful.html", tmp_path)


def browse(path: Path, home: Path) -> str:
    """What the document is once its script has run."""
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
    command = [str(CHROMIUM), *flags, f"--user-data-dir={home / 'browser'}", "--virtual-time-budget=3000", "--dump-dom"]
    return subprocess.run([*command, path.as_uri()], capture_output=True, text=True, timeout=60, check=True).stdout


def test_a_run_without_a_trade_or_a_price_has_a_page_too() -> None:
    summary, chronicle = Summary(), told(bars(0, 1.1, 100.0))
    shown = page(gather(settings(ns(2010), ns(2011)), summary, chronicle))
    assert "Only 0 closed trades" in shown
