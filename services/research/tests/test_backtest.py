"""A backtest is the whole system: deterministic, blind to the future, and summed up the same however messages interleave."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.core import Effect
from common.messages import (
    HaltTrading,
    MarketDataEnded,
    MarketSlice,
    Message,
    OrderApproved,
    OrderFilled,
    OrderRejected,
    PortfolioStep,
    ResumeTrading,
    RiskStep,
    TradingStateChanged,
)
from common.messages.orders import Order
from common.model.enums import TradingState
from common.model.time import NS_PER_DAY, to_datetime
from common.runtime.settings import load
from common.testing.builders import T0, a
from research.backtest import Operator, answer, backtest
from research.summary import Summary

HOURS, CUT = 700, 450


def prices(seed: int = 7) -> np.ndarray:
    rng = np.random.default_rng(seed)
    swing = 0.0015 * np.sin(np.arange(HOURS) / 25.0)
    return 1.1 * np.exp(np.cumsum(rng.normal(0, 0.001, HOURS) + swing))


def write(folder: Path, closes: np.ndarray) -> Path:
    """EUR-USD in hours from Monday, 2 January 2017."""
    folder.mkdir()
    opens = np.concatenate([closes[:1], closes[:-1]])
    rows = ["timestamp,open,high,low,close,volume"]
    for hour, (first, last) in enumerate(zip(opens, closes, strict=True)):
        stamp = f"{to_datetime((17_168 * 24 + hour) * 3600 * 10**9):%Y-%m-%dT%H:%M:%S}"
        high, low = max(first, last) * 1.0004, min(first, last) * 0.9996
        rows.append(f"{stamp},{first:.5f},{high:.5f},{low:.5f},{last:.5f},1000")
    (folder / "EURUSD_H1.csv").write_text("\n".join(rows) + "\n")
    return folder


def config(folder: Path) -> dict[str, Any]:
    made = load("fx")
    made["market_data"]["symbols"] = []
    made["signals"]["timeframes"] = ["1h"]
    made["risk_guardian"]["limits"]["session"] = "always"
    made["run"] = {"data": str(folder)}
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("market") / "as it was", prices())


@pytest.fixture(scope="module")
def run(folder: Path) -> list[Message]:
    return list(backtest(config(folder)))


def summed(messages: list[Message]) -> Summary:
    summary = Summary()
    for message in messages:
        summary.see(message)
    return summary


@pytest.mark.req("RES-01")
def test_two_runs_say_the_same(folder: Path, run: list[Message]) -> None:
    again = list(backtest(config(folder)))
    assert again == run
    assert summed(again).digest() == summed(run).digest()
    assert summed(run).complete
    assert summed(run).result()["fills"] > 20


@pytest.mark.req("RES-01")
def test_a_changed_future_changes_nothing_up_to_now(tmp_path: Path, run: list[Message]) -> None:
    closes = prices()
    closes[CUT:] = closes[CUT - 1] * np.exp(np.cumsum(np.random.default_rng(99).normal(0, 0.004, HOURS - CUT)))
    other = list(backtest(config(write(tmp_path / "another future", closes))))
    now = (17_168 * 24 + CUT) * 3600 * 10**9

    def past(messages: list[Message]) -> list[Message]:
        said = [message for message in messages if not isinstance(message, MarketDataEnded)]
        return [message for message in said[1:] if message.ts_event <= now]  # the first names the folder

    assert past(run) == past(other)
    assert sum(isinstance(message, OrderFilled) for message in past(run)) > 10
    assert summed(run).digest() != summed(other).digest()


@pytest.mark.req("RES-01")
def test_no_fill_is_at_a_time_or_before_the_step_that_decided_it(run: list[Message]) -> None:
    decided = {m.order.client_order_id: m.ts_event for m in run if isinstance(m, OrderApproved)}
    fills = [m for m in run if isinstance(m, OrderFilled)]
    assert all(fill.ts_event > decided[fill.client_order_id] for fill in fills)


@pytest.mark.req("RES-01")
def test_the_digest_does_not_depend_on_how_orders_of_a_step_interleave(run: list[Message]) -> None:
    """Messages of one instant are shuffled, each order's own story kept in its order."""
    shuffled: list[Message] = []
    for _, group in groupby(run, key=lambda message: message.ts_event):
        stories: dict[str, list[Message]] = {}
        for number, message in enumerate(group):
            order = getattr(message, "order", message)
            stories.setdefault(getattr(order, "client_order_id", str(number)), []).append(message)
        mixed = list(stories.values())
        random.Random(3).shuffle(mixed)
        shuffled += [message for story in mixed for message in story]
    assert shuffled != run
    assert summed(shuffled).digest() == summed(run).digest()


@pytest.mark.req("RES-01", "PFL-11")
def test_the_result_has_the_keys_that_every_run_prints(run: list[Message]) -> None:
    summary = summed(run)
    result = summary.result()
    assert list(result) == [
        "bars",
        "steps",
        "signals",
        "orders",
        "fills",
        "quarantined",
        "equity",
        "max_drawdown",
        "costs",
        "halts",
        "features_off",
        "digest",
    ]
    assert (result["bars"], result["steps"]) == (HOURS, sum(isinstance(m, MarketSlice) for m in run))
    last = [m for m in run if isinstance(m, PortfolioStep)][-1]
    assert result["equity"] == round(float(last.equity), 2)
    risk = max(m.drawdown for m in run if isinstance(m, RiskStep))
    assert result["max_drawdown"] == pytest.approx(risk)
    fills = [m for m in run if isinstance(m, OrderFilled)]
    assert result["costs"]["commission"] == pytest.approx(float(sum(m.commission for m in fills)), abs=0.01)
    assert summary.metrics()["max_drawdown"] <= 0 < summary.metrics()["trades"]


def test_a_run_is_complete_when_its_last_step_is_closed_and_every_order_answered() -> None:
    summary = Summary()
    approved = a(OrderApproved)
    for message in (approved, a(MarketDataEnded, steps=7), a(RiskStep, step=7)):
        summary.see(message)
        assert not summary.complete
    summary.see(a(OrderRejected))
    assert summary.complete


def test_a_halt_counts_once_however_often_it_is_confirmed() -> None:
    summary = Summary()
    summary.see(a(TradingStateChanged))
    summary.see(a(TradingStateChanged, previous=TradingState.HALTED))
    assert summary.halts == 1


def test_nothing_happened_is_empty_and_not_zero() -> None:
    assert (Summary().result()["equity"], Summary().result()["max_drawdown"]) == (None, None)


def feed(days: int) -> Iterator[Message]:
    for day in range(days):
        yield a(MarketSlice, ts_event=T0 + day * NS_PER_DAY, step=day + 1)


@pytest.mark.req("RSK-04")
@pytest.mark.parametrize(("after", "resumed"), [(3, [4]), (None, [])])
def test_the_simulated_operator_resumes_so_many_days_after_a_halt(after: int | None, resumed: list[int]) -> None:
    operator, day = Operator(after), -1
    commands = []
    for message in operator.beside(feed(8)):
        if isinstance(message, ResumeTrading):
            commands.append(day + 1)
            operator.see(a(TradingStateChanged, ts_event=message.ts_event, state=TradingState.ACTIVE))
            continue
        day += 1
        if day == 1:
            operator.see(a(TradingStateChanged, ts_event=message.ts_event))
    assert commands == resumed


@pytest.mark.req("RSK-09")
def test_after_a_halt_nothing_is_bought_until_the_operator_resumes(folder: Path) -> None:
    made = config(folder)
    halting = {"trigger": 0.002, "release": 0.001, "exposure_factor": 0.0, "state": "HALTED", "manual": True}
    made["risk_guardian"]["ladders"] = {"drawdown": [halting]}
    stopped = list(backtest(made))
    halt = next(i for i, m in enumerate(stopped) if isinstance(m, TradingStateChanged))
    assert all(m.order.reduce_only for m in stopped[halt:] if isinstance(m, OrderApproved))
    resumed = list(backtest(made, resume_after_days=2))
    states = [m.state for m in resumed if isinstance(m, TradingStateChanged)]
    assert states[:2] == [TradingState.HALTED, TradingState.ACTIVE]
    assert summed(resumed).result()["fills"] > summed(stopped).result()["fills"]
    assert not any(isinstance(m, HaltTrading) for m in resumed)


def test_an_effect_without_an_answer_is_a_bug() -> None:
    class Unknown(Effect, frozen=True):
        order: Order

    with pytest.raises(TypeError, match="no answer to Unknown"):
        answer(Unknown(order=a(Order)))
