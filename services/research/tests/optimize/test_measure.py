"""A trial begins flat with warm indicators, and counts what happens inside its span and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from common.errors import ConfigError, DataError
from common.lockstep import Lockstep
from common.messages import MarketSlice, Message, OrderFilled, PortfolioStep, SignalsStep, TradingStateChanged
from common.model.time import NS_PER_DAY, NS_PER_HOUR, to_datetime
from common.runtime.settings import load
from market_data.source import source
from research.backtest import answer, cores
from research.optimize.measure import Task, bounds, flat_until, measure
from research.optimize.splits import Span
from research.run import run

BEGIN = 17_168 * NS_PER_DAY  # Monday, 2 January 2017
HOURS = 1000


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("market")
    rng = np.random.default_rng(5)
    closes = 1.1 * np.exp(np.cumsum(rng.normal(0, 0.001, HOURS) + 0.0015 * np.sin(np.arange(HOURS) / 25.0)))
    rows = ["timestamp,open,high,low,close,volume"]
    for hour, close in enumerate(closes):
        before = closes[max(0, hour - 1)]
        stamp = f"{to_datetime(BEGIN + hour * NS_PER_HOUR):%Y-%m-%dT%H:%M:%S}"
        rows.append(
            f"{stamp},{before:.5f},{max(before, close) * 1.0004:.5f},{min(before, close) * 0.9996:.5f},{close:.5f},1000"
        )
    (folder / "EURUSD_H1.csv").write_text("\n".join(rows) + "\n")
    return config_of(folder)


def config_of(folder: Path) -> dict[str, Any]:
    made = load("fx")
    made["market_data"]["symbols"] = []
    made["signals"]["timeframes"] = ["1h"]
    made["portfolio"] |= {"risk_per_trade": 0.002}
    made["risk_guardian"]["limits"]["session"] = "always"
    made["run"] = {"data": str(folder), "start_ns": None, "end_ns": None}
    return made


def task(config: dict[str, Any], *spans: Span, **options: Any) -> Task:
    return Task(**{"config": config, "values": {}, "spans": spans, "first_ns": BEGIN, "warmup_days": 15, **options})


WHOLE = Span(BEGIN, BEGIN + HOURS * NS_PER_HOUR)
LATE = Span(BEGIN + 20 * NS_PER_DAY, BEGIN + 35 * NS_PER_DAY)


@pytest.mark.req("RES-05")
def test_the_data_lies_between_its_first_and_last_row(config: dict[str, Any]) -> None:
    assert bounds(config) == WHOLE
    with pytest.raises(DataError, match="no prices"):
        bounds({**config, "run": {**config["run"], "start_ns": 2 * WHOLE.end_ns}})


@pytest.mark.req("RES-05")
def test_nothing_is_proposed_or_filled_before_the_span_and_signals_are_warm_in_its_first_hour(
    config: dict[str, Any],
) -> None:
    begin = LATE.begin_ns
    messages: list[Message] = list(Lockstep(cores(config), answer).run(flat_until(source(config).messages(), begin)))
    steps = [said for said in messages if isinstance(said, PortfolioStep)]
    assert not any(said.orders for said in steps if said.ts_event <= begin)
    assert min(said.ts_event for said in steps if said.orders) == begin + NS_PER_HOUR
    assert {said.equity for said in steps if said.ts_event <= begin and said.equity is not None} == {100_000}
    fills = [said.ts_event for said in messages if isinstance(said, OrderFilled)]
    assert min(fills) > begin
    assert (
        min(fills) == begin + 2 * NS_PER_HOUR
    )  # decided in the first hour, by signals of the warm-up that still stand
    assert any(said.signals for said in messages if isinstance(said, SignalsStep) and said.ts_event <= begin)
    changes = [said for said in messages if isinstance(said, TradingStateChanged)]
    assert [said.state for said in changes[:2]] == ["HALTED", "ACTIVE"]


@pytest.mark.req("RES-05")
def test_a_span_without_warm_up_is_the_very_run_of_a_backtest(config: dict[str, Any]) -> None:
    summary = run(config)
    measured = measure(task(config, WHOLE))
    equity = 100_000 * np.cumprod(1 + np.array(measured.returns))
    assert equity == pytest.approx(summary.daily()[1], rel=1e-12)
    assert measured.day_ns == summary.daily()[0].tolist()
    assert measured.metrics["fills"] == summary.result()["fills"] > 10
    assert measured.metrics["trades"] == summary.metrics()["trades"]
    assert measured.days_a_year == 252


@pytest.mark.req("RES-05")
def test_returns_begin_with_the_span_and_end_with_it(config: dict[str, Any]) -> None:
    measured = measure(task(config, LATE))
    assert measured.day_ns[0] == LATE.begin_ns + 2 * NS_PER_DAY  # it begins on a Sunday, which belongs to Monday
    assert measured.day_ns[-1] == LATE.end_ns
    assert measured.metrics["total_return"] == pytest.approx(np.prod(1 + np.array(measured.returns)) - 1)
    assert measured.metrics["halts"] == 0  # the warm-up's own is none
    assert measured.metrics["max_drawdown"] is not None
    assert measured.metrics["max_drawdown"] >= 0


@pytest.mark.req("RES-05")
def test_what_comes_after_a_span_cannot_be_seen_in_it(config: dict[str, Any], tmp_path: Path) -> None:
    lines = (Path(config["run"]["data"]) / "EURUSD_H1.csv").read_text().splitlines()
    known = [line for line in lines[1:] if line < f"{to_datetime(LATE.end_ns):%Y-%m-%dT%H:%M:%S}"]
    (tmp_path / "EURUSD_H1.csv").write_text("\n".join([lines[0], *known]) + "\n")
    assert measure(task(config_of(tmp_path), LATE)) == measure(task(config, LATE))


@pytest.mark.req("RES-05")
def test_spans_are_joined_day_by_day_and_sums_are_sums(config: dict[str, Any]) -> None:
    early = Span(BEGIN, BEGIN + 12 * NS_PER_DAY)
    one, other, both = (measure(task(config, *spans)) for spans in ((early,), (LATE,), (early, LATE)))
    assert both.returns == one.returns + other.returns
    assert both.day_ns == one.day_ns + other.day_ns
    for name in ("fills", "trades", "commission"):
        assert both.metrics[name] == pytest.approx((one.metrics[name] or 0) + (other.metrics[name] or 0))


@pytest.mark.req("RES-05")
def test_values_change_the_run_and_costs_are_on(config: dict[str, Any]) -> None:
    plain, smaller = (
        measure(task(config, WHOLE, values=values)) for values in ({}, {"portfolio.risk_per_trade": 0.001})
    )
    assert plain.returns != smaller.returns
    assert plain.metrics["commission"] > smaller.metrics["commission"] > 0  # type: ignore[operator]


def test_wrong_values_and_empty_spans_are_named(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="risk_per_trade"):
        measure(task(config, WHOLE, values={"portfolio.risk_per_trade": -1}))
    with pytest.raises(DataError, match="span"):
        measure(task(config, Span(WHOLE.end_ns + 10 * NS_PER_DAY, WHOLE.end_ns + 20 * NS_PER_DAY)))


def test_a_task_and_its_result_travel(config: dict[str, Any]) -> None:
    sent = task(config, LATE, warmup_days=3)
    assert msgspec.json.decode(msgspec.json.encode(sent), type=Task) == sent


def test_slices_pass_in_order_and_unchanged(config: dict[str, Any]) -> None:
    slices = [said for said in source(config).messages() if isinstance(said, MarketSlice)]
    kept = [said for said in flat_until(source(config).messages(), LATE.begin_ns) if isinstance(said, MarketSlice)]
    assert kept == slices
