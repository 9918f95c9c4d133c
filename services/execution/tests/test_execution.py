"""What execution does with orders that the guardian lets pass: once each, never after a halt, never on a stale view."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from common.messages import (
    ExecutionStep,
    GuardianLost,
    HaltTrading,
    InstrumentsDefined,
    IntentFailed,
    IntentRecorded,
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderRejected,
    TradingStateChanged,
)
from common.model.enums import DenyCode, OrderState, OrderType, TradingState
from common.model.parties import GUARDIAN
from common.testing.builders import EUR_USD, ORDER_ID, T0, a
from execution.effects import RecordIntent

LATER = T0 + 10 * 365 * 86_400 * 10**9  # where an operator's wall clock is during a replay
RESTING = {"limit_px": 1.0}  # a buy that never trades at 1.1


def test_an_order_is_submitted_only_once_its_intent_is_recorded(desk: Any, told: Any) -> None:
    trader = desk()
    assert trader.approve(record=False) == []
    (asked,) = trader.core.pending()
    assert isinstance(asked, RecordIntent)
    assert asked.order.client_order_id == ORDER_ID
    assert told(trader.hear(a(IntentRecorded))) == ["submitted", "accepted"]
    assert trader.core.pending() == []


@pytest.mark.req("EXE-01")
def test_an_order_approved_twice_is_traded_once(desk: Any, told: Any) -> None:
    trader = desk()
    assert told(trader.approve()) == ["submitted", "accepted"]
    assert trader.approve() == []
    assert told(trader.trade(1.1)) == ["filled"]
    assert trader.approve() == []
    assert trader.trade(1.1)[0].positions[0].signed_qty == 100


@pytest.mark.req("EXE-01")
def test_a_denied_order_is_not_traded_when_it_is_approved_again(desk: Any, told: Any) -> None:
    trader = desk()
    assert told(trader.approve(instrument_id="XXX-USD.ECB")) == ["denied"]
    assert trader.approve() == []


@pytest.mark.req("EXE-01")
def test_an_intent_answered_twice_is_submitted_once(desk: Any, told: Any) -> None:
    trader = desk()
    trader.approve(record=False)
    assert told(trader.hear(a(IntentRecorded))) == ["submitted", "accepted"]
    assert trader.hear(a(IntentRecorded)) == []
    assert trader.hear(a(IntentFailed)) == []


@pytest.mark.req("EXE-01")
def test_slices_wait_for_intents_under_way_and_then_happen_in_order(desk: Any, told: Any) -> None:
    trader = desk()
    trader.approve(record=False)
    assert trader.trade(1.1) == []
    assert trader.trade(1.2) == []
    said = trader.hear(a(IntentRecorded))
    assert [m.TYPE.split(".")[1] for m in said] == ["submitted", "accepted", "filled", "step", "step"]
    assert [m.step for m in said if isinstance(m, ExecutionStep)] == [2, 3]


@pytest.mark.req("EXE-01", "RSK-01")
@pytest.mark.parametrize("code", [DenyCode.INTENT_NOT_RECORDED, DenyCode.GUARDIAN_SILENT])
def test_a_failed_intent_denies_new_risk_but_lets_an_exit_out(desk: Any, told: Any, code: DenyCode) -> None:
    trader = desk()
    trader.approve(record=False)
    (denied,) = trader.hear(a(IntentFailed, code=code))
    assert isinstance(denied, OrderDenied)
    assert (denied.code, denied.by, denied.order.client_order_id) == (code, "execution", ORDER_ID)
    trader.approve(-100, client_order_id="exit", reduce_only=True, record=False)
    assert told(trader.hear(a(IntentFailed, client_order_id="exit", code=code))) == ["submitted", "accepted"]


@pytest.mark.req("RSK-01")
@pytest.mark.parametrize(
    ("changes", "code", "observed", "limit"),
    [
        ({"step": 1}, DenyCode.STALE_APPROVAL, 1, 2),
        ({"instrument_id": "XXX-USD.ECB"}, DenyCode.UNKNOWN_INSTRUMENT, 0, 0),
    ],
)
def test_an_order_on_a_stale_view_or_of_an_unknown_thing_is_denied(
    desk: Any, changes: dict[str, Any], code: DenyCode, observed: int, limit: int
) -> None:
    trader = desk()
    trader.trade(1.1)
    (denied,) = trader.approve(**changes)
    assert (denied.code, denied.observed, denied.limit) == (code, observed, limit)


def test_an_order_of_the_guardian_is_never_stale(desk: Any, told: Any) -> None:
    trader = desk()
    trader.trade(1.1)
    assert told(trader.approve(step=1, strategy_id=GUARDIAN)) == ["submitted", "accepted"]


@pytest.mark.req("RSK-09")
@pytest.mark.parametrize("word", [a(HaltTrading), a(TradingStateChanged)], ids=["command", "state"])
def test_a_halt_cancels_what_works_and_accepts_nothing_after(desk: Any, told: Any, word: Any) -> None:
    trader = desk()
    trader.approve(**RESTING)
    (canceled,) = trader.hear(word)
    assert isinstance(canceled, OrderCanceled)
    assert canceled.leaves_qty == 100
    (denied,) = trader.approve(client_order_id="next")
    assert denied.code is DenyCode.TRADING_HALTED
    (denied,) = trader.approve(-1, client_order_id="an exit of a strategy", reduce_only=True)
    assert denied.code is DenyCode.TRADING_HALTED


@pytest.mark.req("RSK-09")
def test_an_order_whose_intent_was_under_way_at_the_halt_is_denied(desk: Any) -> None:
    trader = desk()
    trader.approve(record=False)
    trader.hear(a(HaltTrading))
    (denied,) = trader.hear(a(IntentRecorded))
    assert denied.code is DenyCode.TRADING_HALTED


@pytest.mark.req("RSK-09")
def test_flattening_by_the_guardian_passes_a_halt_even_without_a_journal(desk: Any, told: Any) -> None:
    trader = desk()
    trader.approve(100)
    trader.trade(1.1)
    trader.hear(a(HaltTrading))
    trader.approve(-100, client_order_id="flatten", strategy_id=GUARDIAN, reduce_only=True, record=False)
    failed = a(IntentFailed, client_order_id="flatten")
    assert told(trader.hear(failed)) == ["submitted", "accepted"]
    assert trader.hear(a(TradingStateChanged)) == []
    assert told(trader.trade(1.1)) == ["filled"]
    assert trader.held() == 0


@pytest.mark.req("RSK-09")
@pytest.mark.parametrize("disguise", [{"reduce_only": False}, {"limit_px": 1.2}, {"strategy_id": "book"}])
def test_only_a_reduce_only_market_order_of_the_guardian_is_flattening(desk: Any, disguise: dict[str, Any]) -> None:
    trader = desk()
    trader.hear(a(HaltTrading))
    changes = {"strategy_id": GUARDIAN, "reduce_only": True, **disguise}
    (denied,) = trader.approve(-100, **changes)
    assert denied.code is DenyCode.TRADING_HALTED


@pytest.mark.req("RSK-09")
def test_a_state_said_before_the_guardian_heard_of_the_halt_does_not_end_it(desk: Any, told: Any) -> None:
    trader, active = desk(), a(TradingStateChanged, state=TradingState.ACTIVE, previous=TradingState.REDUCING)
    trader.hear(a(HaltTrading))
    trader.hear(active)
    assert told(trader.approve()) == ["denied"]
    trader.hear(a(TradingStateChanged))
    trader.hear(active)
    assert told(trader.approve(client_order_id="after the resume")) == ["submitted", "accepted"]


@pytest.mark.req("RSK-09")
def test_cancels_bear_the_time_of_the_market_not_of_the_operator(desk: Any) -> None:
    trader = desk()
    trader.approve(**RESTING)
    (canceled,) = trader.hear(a(HaltTrading, ts_event=LATER))
    assert canceled.ts_event == T0


@pytest.mark.req("RSK-01")
def test_orders_that_add_risk_do_not_outlive_the_guardian(desk: Any) -> None:
    trader = desk()
    trader.approve(**RESTING)
    trader.approve(-100, limit_px=1.2, client_order_id="exit", reduce_only=True)
    (canceled,) = trader.hear(a(GuardianLost))
    assert (canceled.client_order_id, canceled.reason) == (ORDER_ID, "guardian silent for 2.5 s")
    assert [live.order.client_order_id for live in trader.core.state.orders.values()] == ["exit"]


@pytest.mark.req("EXE-04")
def test_the_venue_rejects_the_same_orders_for_the_same_seed(desk: Any, only: Any) -> None:
    def rejected(seed: int) -> list[str]:
        trader = desk(reject_rate=0.3, seed=seed)
        said = [m for i in range(100) for m in trader.approve(client_order_id=f"o-{i}")]
        assert len(only(said, OrderRejected)) + len(only(said, OrderAccepted)) == 100
        return [m.client_order_id for m in only(said, OrderRejected)]

    assert rejected(1) == rejected(1) != rejected(2)
    assert 15 < len(rejected(1)) < 45


def test_every_slice_is_answered_with_what_is_held_and_open(desk: Any) -> None:
    trader = desk()
    trader.approve(100)
    trader.approve(-40, limit_px=1.2, client_order_id="exit", reduce_only=True)
    *_, step = trader.trade(1.1)
    (position,), (working,) = step.positions, step.open_orders
    assert (step.step, step.ts_event, step.book) == (2, trader.now, "fx")
    assert (position.instrument_id, position.signed_qty, position.avg_px) == (EUR_USD, 100, Decimal("1.10005"))
    assert (working.client_order_id, working.signed_leaves_qty, working.reduce_only) == ("exit", -40, True)
    assert step.cash == {"USD": Decimal(100_000) - 100 * Decimal("1.10005")}


def test_starting_cash_is_credited_once(desk: Any) -> None:
    trader = desk()
    trader.hear(a(InstrumentsDefined))
    assert trader.core.state.ledger.cash == {"USD": Decimal(100_000)}


def test_ids_of_finished_orders_are_kept_within_bounds(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execution.state.CLOSED_IDS_KEPT", 3)
    trader = desk()
    for i in range(5):
        trader.approve(1, client_order_id=f"o-{i}")
        trader.trade(1.1)
    assert list(trader.core.state.closed) == ["o-2", "o-3", "o-4"]


def test_an_order_is_kept_as_what_it_became(desk: Any) -> None:
    trader = desk(max_qty_per_bar=30)
    trader.approve(100)
    (live,) = trader.core.state.orders.values()
    assert (live.state, live.order.order_type) == (OrderState.ACCEPTED, OrderType.MARKET)
    trader.trade(1.1)
    assert (live.state, live.leaves_qty) == (OrderState.PARTIALLY_FILLED, 70)
