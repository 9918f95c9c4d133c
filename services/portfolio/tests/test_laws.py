"""Over arbitrary sequences of steps: total risk stays within the maximum (PFL-07), and a snapshot changes nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from common.messages import OrderDenied
from common.model.enums import DenyCode, Direction, Tier, TradingState
from common.runtime import snapshots
from common.testing.builders import a

same_fixtures = examples(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
SETTINGS: dict[str, Any] = {"max_total_risk": 0.003, "rebalance_hours": 5, "correlation_window": 6, "trade_band": 0.3}

NAMES = {"eur": "EUR-USD.ECB", "gbp": "GBP-USD.ECB", "yen": "USD-JPY.ECB"}
prices = st.integers(80, 125).map(lambda cents: cents / 100)
signals = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["eur", "gbp", "yen"]),
        "strategy_id": st.sampled_from("abc"),
        "tier": st.sampled_from(Tier),
        "direction": st.sampled_from(Direction),
        "stop_fraction": st.sampled_from([0.005, 0.02, 0.05]),
        "size_factor": st.sampled_from([0.4, 1.0]),
        "vol_ratio": st.sampled_from([None, 0.5, 2.5]),
        "ref_px": prices,
    }
)
steps = st.fixed_dictionaries(
    {
        "signals": st.lists(signals, max_size=4),
        "closes": st.dictionaries(st.sampled_from(["eur", "gbp", "yen"]), prices, max_size=3),
        "hours": st.integers(1, 12),
        "state": st.sampled_from(TradingState),
        "exposure": st.sampled_from([1.0, 0.75, 0.0]),
        "denied": st.none() | st.sampled_from(DenyCode),
        "cash": st.sampled_from([0, 0, 0, -40_000, 30_000]),
    }
)


def play(trader: Any, say: Any, script: list[Any]) -> list[Any]:
    """The answers; now and then the guardian denies, and money comes or goes."""
    answers = []
    for scene in script:
        trader.ledger.credit("USD", Decimal(scene["cash"]))
        trader.trades = scene["denied"] is None
        opinions = [say(**{**signal, "direction": str(signal["direction"])}) for signal in scene["signals"]]
        answer = trader.step(*opinions, hours=scene["hours"], **scene["closes"])
        for order in answer.orders if scene["denied"] else ():
            trader.core.handle(a(OrderDenied, order=order, code=scene["denied"]))
        trader.risk(scene["state"], scene["exposure"])
        answers.append(answer)
    return answers


@pytest.mark.req("PFL-07")
@same_fixtures
@given(script=st.lists(steps, max_size=15))
def test_total_risk_is_never_above_the_maximum(desk: Any, say: Any, script: list[Any]) -> None:
    for answer in play(desk(**SETTINGS), say, script):
        if answer.equity is not None:
            assert answer.total_risk <= max(answer.equity, 0) * Decimal("0.003")


@pytest.mark.req("PFL-01")
@same_fixtures
@given(script=st.lists(steps, max_size=15))
def test_orders_lead_to_the_target_and_only_exits_say_reduce_only(desk: Any, say: Any, script: list[Any]) -> None:
    trader = desk(**SETTINGS)
    for scene in script:
        before = {name: trader.held(name) for name in NAMES}
        state = trader.core.state.trading
        (answer,) = play(trader, say, [scene])
        for name, held in before.items():
            mine = [o for o in answer.orders if o.instrument_id == NAMES[name]]
            assert len(mine) <= 2
            after = held + sum((o.signed_qty for o in mine), Decimal(0))
            if mine and state is TradingState.ACTIVE:
                assert after == trader.core.state.targets[mine[0].instrument_id]
            if state is TradingState.REDUCING:
                assert abs(after) <= abs(held)
                assert after * held >= 0
            if state is TradingState.HALTED:
                assert mine == []
            for order in mine:
                shrinks = held * order.signed_qty < 0 and order.qty <= abs(held)
                assert order.reduce_only is (shrinks and order is mine[0])


@pytest.mark.req("PFL-01")
@same_fixtures
@given(script=st.lists(steps, max_size=12), data=st.data())
def test_a_snapshot_at_any_point_changes_nothing(desk: Any, say: Any, script: list[Any], data: Any) -> None:
    cut = data.draw(st.integers(0, len(script)))
    whole, broken = desk(**SETTINGS), desk(**SETTINGS)
    expected = play(whole, say, script)
    answers = play(broken, say, script[:cut])
    saved, broken.core = broken.core, desk(**SETTINGS).core
    snapshots.restore(broken.core, snapshots.encode(saved, 1, "mark"), "mark")
    assert answers + play(broken, say, script[cut:]) == expected
    assert broken.core.state == whole.core.state
