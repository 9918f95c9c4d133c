"""Later starts and other ways of running: what agrees, from where on, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ballast_cli.configuration import effective
from common.messages import Message, OrderFilled, RiskStep, SignalsStep
from research.backtest import backtest
from research.overrides import with_values
from research.run import run
from research.truth.parity import Ledger, line_up, over_the_wire, through_bytes
from research.truth.warmup import Settling, declared, remembered, warmup
from signals.loader import load_strategies
from signals.settings import Settings as SignalsSettings

COUNTS_BARS = """
from signals.api import Context, Direction, Opinion, Sma, Strategy, Tier, VolState

def decide(ctx: Context) -> Opinion:
    seen[ctx.bar.instrument_id] = seen.get(ctx.bar.instrument_id, 0) + 1
    direction = Direction.LONG if seen[ctx.bar.instrument_id] // 7 % 2 else Direction.SHORT
    return Opinion(direction=direction, strength=1.0, reason="by the number of bars since the beginning")

seen: dict[str, int] = {}
strategy = Strategy(id="counts_bars", tier=Tier.CORE, params={VolState.NORMAL: {}}, features=lambda p: {},
                    decide=decide, hold_bars=20)
"""


def small(**values: Any) -> dict[str, Any]:
    made = with_values(
        effective("fx", data="synthetic:trend"), {"signals.timeframes": ["1h"], "market_data.symbols": ["EUR-USD"]}
    )
    return with_values(made, values)


@pytest.mark.req("RES-01")
@pytest.mark.parametrize(
    ("strategy", "bars"), [("sma_cross_20_50", 101), ("envelope_breakout", 21), ("ema_cross_20_50", 51)]
)
def test_declared_is_when_a_strategy_is_first_asked(strategy: str, bars: int) -> None:
    """A cross of 50 and 100 in STRESS: the slow average is warm on bar 100, and the bar before it must be, too."""
    one = next(each for each in load_strategies(SignalsSettings()) if each.id == strategy)
    assert declared(one) == bars
    assert remembered(one) > bars + one.hold_bars


@pytest.mark.req("RES-01")
def test_plain_averages_agree_as_soon_as_they_are_asked_and_no_shipped_strategy_is_late() -> None:
    found = {each.strategy: each for each in warmup(small(), starts=2)}

    assert len(found) == 10
    assert {each.verdict for each in found.values()} <= {"ok", "slow", "unknown"}
    for name in ("sma_cross_20_50", "sma_cross_50_200", "price_vs_slow_sma"):
        assert found[name].verdict == "ok"
        assert found[name].last_difference < found[name].declared


@pytest.mark.req("RES-01")
def test_a_strategy_that_counts_from_the_beginning_is_late(tmp_path: Path) -> None:
    (tmp_path / "counts_bars.py").write_text(COUNTS_BARS)
    made = small(**{"signals.strategy_folder": str(tmp_path), "signals.strategies": ["counts_bars"]})
    (found,) = warmup(made, starts=2)
    assert found.verdict == "late"


@pytest.mark.parametrize(
    ("after_declared", "after_remembered", "verdict"),
    [(0.0, 0.0, "ok"), (0.01, 0.0, "slow"), (0.01, 0.01, "late"), (0.01, None, "unknown"), (None, None, "unknown")],
)
def test_a_verdict_needs_bars_to_rest_on(
    after_declared: float | None, after_remembered: float | None, verdict: str
) -> None:
    each = warmup_of(after_declared, after_remembered)
    assert each.verdict == verdict


def warmup_of(after_declared: float | None, after_remembered: float | None) -> Settling:
    return Settling(
        strategy="x",
        timeframe="1h",  # type: ignore[arg-type]
        declared=10,
        remembered=20,
        last_difference=5,
        differing_after_declared=after_declared,
        differing_after_remembered=after_remembered,
        forgets=True,
    )


def ledger(messages: list[Message]) -> Ledger:
    made = Ledger()
    for message in messages:
        made.see(message)
    return made


@pytest.fixture(scope="module")
def said() -> list[Message]:
    return list(backtest(small(**{"run.end_ns": 1_704_067_200_000_000_000 + 60 * 86_400 * 10**9})))


@pytest.mark.req("RES-01", "PLT-09")
def test_backtest_plain_run_and_bytes_on_the_wire_trade_the_same(said: list[Message]) -> None:
    made = small(**{"run.end_ns": 1_704_067_200_000_000_000 + 60 * 86_400 * 10**9})
    fast = Ledger()
    run(made, watchers=[fast.see])

    found = line_up({"backtest": fast, "plain": ledger(said), "wire": ledger(list(over_the_wire(made)))})

    assert found.identical, found.differences
    assert found.fills > 20
    assert found.compared > 200


@pytest.mark.req("RES-01")
def test_the_first_message_that_differs_is_told_with_what_each_way_said(said: list[Message]) -> None:
    place = next(i for i, m in enumerate(said) if isinstance(m, OrderFilled) and i > len(said) // 2)
    fill = said[place]
    assert isinstance(fill, OrderFilled)
    dearer = msgspec.structs.replace(fill, last_px=fill.last_px + 1)

    found = line_up({"backtest": ledger(said), "paper": ledger([*said[:place], dearer, *said[place + 1 :]])})

    assert (found.differing, found.identical) == (1, False)
    (difference,) = found.differences
    assert (difference.ts, difference.stage, difference.name) == (fill.ts_event, "fill", fill.fill_id)
    assert str(dearer.last_px) in difference.said["paper"]
    assert str(fill.last_px) in difference.said["backtest"]


@pytest.mark.req("RES-01")
def test_a_trade_that_one_way_never_made_differs_and_a_run_that_has_not_got_so_far_does_not(
    said: list[Message],
) -> None:
    place = next(i for i, m in enumerate(said) if isinstance(m, OrderFilled))
    missing = line_up({"backtest": ledger(said), "paper": ledger([*said[:place], *said[place + 1 :]])})
    assert [(each.stage, each.said["paper"]) for each in missing.differences] == [("fill", "")]

    closed = [i for i, m in enumerate(said) if isinstance(m, RiskStep)][-30]
    halfway = line_up({"backtest": ledger(said), "paper": ledger(said[: closed + 1])})
    assert halfway.identical
    assert halfway.until == said[closed].ts_event


def test_a_message_is_the_same_after_it_was_bytes(said: list[Message]) -> None:
    steps = [message for message in said if isinstance(message, SignalsStep) and message.signals]
    assert [through_bytes(message) for message in steps] == steps
    assert np.all([through_bytes(message) is not message for message in steps])
