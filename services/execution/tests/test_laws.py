"""Laws of execution over arbitrary sequences of messages: legal transitions only, cash and positions are the sum of fills,
nothing accepted after a halt, and a snapshot at any point changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.core import Effect
from common.messages import (
    ExecutionStep,
    FinancingCharged,
    GuardianLost,
    HaltTrading,
    InstrumentsDefined,
    IntentFailed,
    IntentRecorded,
    MarketSlice,
    Message,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
    TradingStateChanged,
)
from common.messages.market_data import Bar
from common.messages.orders import Order
from common.model.account import Account
from common.model.enums import OrderState, OrderType, Side, TimeInForce, TradingState
from common.model.instrument import Instrument
from common.model.ledger import Ledger
from common.model.money import ZERO
from common.model.parties import GUARDIAN
from common.model.time import Timeframe
from common.runtime import snapshots
from common.testing.builders import EUR_USD, T0, a
from execution.core import Execution
from execution.settings import Settings
from execution.transitions import TRANSITIONS, advance

HOUR = Timeframe.H1.ns
SETTINGS = Settings(reject_rate=0.2, max_qty_per_bar=40, taker_bps=5, maker_bps=2)
GROUPS = ("", "", "g")
INSTRUMENT = a(Instrument, close_only=False)

prices = st.integers(95, 105).map(lambda cents: Decimal(cents) / 100)
names = st.sampled_from([f"o-{n}" for n in range(8)])


@st.composite
def orders(draw: Any) -> Order:
    return a(
        Order,
        client_order_id=draw(names),
        strategy_id=draw(st.sampled_from(["book", GUARDIAN])),
        side=draw(st.sampled_from(Side)),
        qty=Decimal(draw(st.integers(1, 100))),
        order_type=draw(st.sampled_from(OrderType)),
        limit_px=draw(prices),
        stop_px=draw(prices),
        ref_px=draw(prices),
        time_in_force=draw(st.sampled_from(TimeInForce)),
        expire_ns=draw(st.none() | st.integers(T0, T0 + 9 * HOUR)),
        reduce_only=draw(st.booleans()),
        instrument_id=draw(st.sampled_from([EUR_USD, EUR_USD, EUR_USD, "XXX-USD.ECB"])),
        post_only=draw(st.sampled_from([False, False, True])),
        parent_id=draw(st.sampled_from(["", "", ""]) | names),
        oco_group=draw(st.sampled_from(GROUPS)),
        algorithm=None,
    )


@st.composite
def bars(draw: Any) -> tuple[Bar, ...]:
    first, last, *others = (float(draw(prices)) for _ in range(4))
    low, high = min(first, last, *others), max(first, last, *others)
    whole = a(Bar, open=first, high=high, low=low, close=last, volume=0.0)
    return draw(st.sampled_from([(whole,), (whole,), ()]))


words = st.one_of(
    st.builds(lambda order, late: ("approve", order, late), orders(), st.integers(0, 1)),
    st.builds(lambda found: ("slice", found), bars()),
    st.builds(lambda name, failed: ("answer", name, failed), names, st.booleans()),
    st.builds(lambda state: ("state", state), st.sampled_from(TradingState)),
    st.sampled_from([("halt",), ("lost",)]),
)


def tape(spoken: Sequence[Any]) -> list[Message]:
    """Messages out of words, slices an hour apart."""
    step, said = 1, [a(InstrumentsDefined, instruments=(INSTRUMENT,)), MarketSlice(ts_event=T0, book="fx", step=1)]
    for word, *arguments in spoken:
        now = T0 + (step - 1) * HOUR
        match word, arguments:
            case "approve", [order, late]:
                said.append(OrderApproved(ts_event=now, order=order, step=step - late))
            case "slice", [found]:
                step += 1
                said.append(MarketSlice(ts_event=now + HOUR, book="fx", step=step, bars=found))
            case "answer", [name, True]:
                said.append(a(IntentFailed, client_order_id=name))
            case "answer", [name, False]:
                said.append(a(IntentRecorded, client_order_id=name))
            case "state", [state]:
                said.append(a(TradingStateChanged, state=state))
            case "halt", _:
                said.append(a(HaltTrading))
            case _:
                said.append(a(GuardianLost))
    return said


tapes = st.lists(words, max_size=40).map(tape)


def run(core: Execution, messages: Sequence[Message]) -> list[Message | Effect]:
    return [output for message in messages for output in core.handle(message)]


STATE_OF = {
    OrderSubmitted: OrderState.SUBMITTED,
    OrderAccepted: OrderState.ACCEPTED,
    OrderRejected: OrderState.REJECTED,
    OrderCanceled: OrderState.CANCELED,
    OrderExpired: OrderState.EXPIRED,
    OrderDenied: OrderState.DENIED,
}


def became(message: Message) -> OrderState | None:
    if isinstance(message, OrderFilled):
        return OrderState.PARTIALLY_FILLED if message.leaves_qty else OrderState.FILLED
    return STATE_OF.get(type(message))


def id_of(message: Any) -> str:
    return str(message.order.client_order_id if hasattr(message, "order") else message.client_order_id)


@pytest.mark.req("EXE-01")
@given(tapes)
def test_whatever_is_reported_in_whatever_order_an_order_only_goes_where_the_table_lets_it(tape: Any) -> None:
    now: dict[str, OrderState] = defaultdict(lambda: OrderState.APPROVED)
    for output in run(Execution(SETTINGS, Account()), tape):
        if not isinstance(output, Effect) and (state := became(output)) is not None:
            assert state in TRANSITIONS[now[id_of(output)]]
            now[id_of(output)] = state


@pytest.mark.req("EXE-01")
@given(st.sampled_from(OrderState), st.sampled_from(OrderState))
def test_the_table_is_closed_and_final_states_are_final(current: OrderState, following: OrderState) -> None:
    if following in TRANSITIONS[current]:
        assert advance(current, following) is following
    else:
        with pytest.raises(ValueError, match=f"cannot go from {current} to {following}"):
            advance(current, following)
    assert set(TRANSITIONS) == set(OrderState)
    final = {"FILLED", "CANCELED", "EXPIRED", "REJECTED", "DENIED"}
    assert {state for state, onward in TRANSITIONS.items() if not onward} == final


@pytest.mark.req("EXE-01")
@given(tapes)
def test_an_id_is_submitted_at_most_once_and_its_fills_never_exceed_it(tape: Any) -> None:
    submitted: dict[str, Decimal] = {}
    filled: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for output in run(Execution(SETTINGS, Account()), tape):
        if isinstance(output, OrderSubmitted):
            assert output.order.client_order_id not in submitted
            submitted[output.order.client_order_id] = output.order.qty
        if isinstance(output, OrderFilled):
            name = output.client_order_id
            filled[name] += output.last_qty
            assert 0 < output.last_qty <= SETTINGS.max_qty_per_bar
            assert (output.cum_qty, output.leaves_qty) == (filled[name], submitted[name] - filled[name])
            assert output.leaves_qty >= 0


@pytest.mark.req("EXE-04")
@given(tapes)
def test_cash_and_positions_are_the_sum_of_fills_and_financing(tape: Any) -> None:
    own = Ledger(cash={"USD": Decimal(100_000)})
    for output in run(Execution(SETTINGS, Account()), tape):
        if isinstance(output, OrderFilled):
            own.apply_fill(INSTRUMENT, output.signed_qty, output.last_px, output.commission)
        if isinstance(output, FinancingCharged):
            own.credit(output.currency, output.amount)
        if isinstance(output, ExecutionStep):
            assert (output.cash, output.positions) == (own.cash, tuple(own.positions.values()))


@pytest.mark.req("EXE-03")
@given(tapes)
def test_a_reduce_only_fill_never_opens_grows_or_flips(tape: Any) -> None:
    held, reduce_only = ZERO, set[str]()
    for output in run(Execution(SETTINGS, Account()), tape):
        if isinstance(output, OrderSubmitted) and output.order.reduce_only:
            reduce_only.add(output.order.client_order_id)
        if isinstance(output, OrderFilled):
            if output.client_order_id in reduce_only:
                assert held * output.signed_qty < 0
                assert output.last_qty <= abs(held)
            held += output.signed_qty


@pytest.mark.req("RSK-09")
@given(tapes)
def test_nothing_but_flattening_is_accepted_while_halted(tape: Any) -> None:
    core, halted = Execution(SETTINGS, Account()), False
    for message in tape:
        halted = halted or isinstance(message, HaltTrading)
        if isinstance(message, TradingStateChanged):
            halted = message.state is TradingState.HALTED or core.state.halt_unconfirmed
        for output in core.handle(message):
            if isinstance(output, OrderSubmitted) and halted:
                assert output.order.strategy_id == GUARDIAN
                assert output.order.reduce_only
        if halted:
            assert all(live.order.strategy_id == GUARDIAN for live in working(core))


def working(core: Execution) -> list[Any]:
    return [live for live in core.state.orders.values() if live.state is not OrderState.APPROVED]


@pytest.mark.req("EXE-01")
@given(tapes, st.data())
def test_a_snapshot_at_any_point_changes_nothing(tape: Any, data: Any) -> None:
    cut = data.draw(st.integers(0, len(tape)))
    first, whole = Execution(SETTINGS, Account()), Execution(SETTINGS, Account())
    said = run(first, tape[:cut])
    second = Execution(SETTINGS, Account())
    assert snapshots.restore(second, snapshots.encode(first, 7, "mark"), "mark") == 7
    assert list(second.pending()) == list(first.pending())
    assert [*said, *run(second, tape[cut:])] == run(whole, tape)
    assert second.state == whole.state


@given(tapes)
def test_every_slice_is_answered_once_and_in_order_as_soon_as_no_intent_is_open(tape: Any) -> None:
    core = Execution(SETTINGS, Account())
    steps = [output.step for output in run(core, tape) if isinstance(output, ExecutionStep)]
    asked = [message.step for message in tape if isinstance(message, MarketSlice)]
    assert steps + [slice_.step for slice_ in core.state.waiting] == asked
    assert core.pending() or not core.state.waiting
