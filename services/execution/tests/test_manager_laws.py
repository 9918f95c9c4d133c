"""Laws of the order manager at a venue outside, over arbitrary faults, orders of reports and restarts: one venue order for one
id, position = sum of unique fills, final is final, nothing new after a stop, parts never more than the whole, and both
books agree in the end.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import zip_longest
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.outside import Fate, Outside

from common.core import Effect
from common.messages import (
    AmendApproved,
    CancelOrder,
    GuardianLost,
    OrderFilled,
    ReconciliationBreak,
    TradingStateChanged,
    VenueReported,
)
from common.messages.orders import BreakKind
from common.messages.venue import (
    Accepted,
    Amended,
    AmendRefused,
    Canceled,
    CancelRefused,
    Expired,
    NotFound,
    NotReceived,
    OutcomeUnknown,
    Rejected,
    Request,
    Status,
    Traded,
)
from common.model.enums import TradingState
from common.model.money import ZERO
from common.testing.builders import EUR_USD, T0, a
from execution.admission import is_flattening
from execution.effects import AmendAtVenue, SendOrder
from execution.settings import ReconciliationSettings, RetrySettings
from execution.transitions import FINAL, TRANSITIONS

NAMES = tuple("abcdefghijkl")
SETTINGS = {"retry": RetrySettings(max_attempts=3), "reconciliation": ReconciliationSettings(every_s=60)}
LIKELY_FATES = (*Fate, Fate.OK, Fate.OK, Fate.OK, Fate.OK)
LIKELY_STATES = (*TradingState, *[TradingState.ACTIVE] * 6)


def _approve(chance: Random) -> Any:
    changes = {
        "client_order_id": chance.choice(NAMES),
        "signed_qty": chance.choice([100, 60, -60, -100]),
        "limit_px": chance.choice([None, 1.0]),
        "reduce_only": chance.random() < 0.3,
        "parent_id": chance.choice(["", "", "", "a"]),
        "oco_group": chance.choice(["", "", "", "g"]),
    }
    return "approve", changes


# Weight, and what then happens. Chance decides and not hypothesis, whose lists are short and rarely go deep.
EVENTS: Any = (
    (40, lambda chance: ("carry out", chance.randrange(10), chance.choice(LIKELY_FATES))),
    (25, _approve),
    (10, lambda chance: ("fill", chance.choice(NAMES), chance.choice([10, 50, 100]), chance.random() < 0.7)),
    (10, lambda chance: ("hear", chance.randrange(10), chance.random() < 0.3)),
    (3, lambda chance: ("cancel", chance.choice(NAMES))),
    (3, lambda chance: ("amend", chance.choice(NAMES), chance.choice([40, 80]))),
    (3, lambda chance: ("time",)),
    (2, lambda chance: ("connect", chance.random() < 0.7)),
    (1, lambda chance: ("restart",)),
    (1, lambda chance: ("drop", chance.choice(NAMES))),
    (0.7, lambda chance: ("state", chance.choice(LIKELY_STATES))),
    (0.3, lambda chance: ("lost",)),
    (0.1, lambda chance: ("halt",)),
)


def history_of(seed: int, longest: int = 120) -> list[Any]:
    chance = Random(seed)
    weights = [weight for weight, _ in EVENTS]
    made = chance.choices([make for _, make in EVENTS], weights, k=chance.randint(1, longest))
    return [make(chance) for make in made]


histories = st.integers(0, 2**32).map(history_of)
MANY = settings(max_examples=250)


def live_through(world: Outside, event: Any) -> None:
    what, *arguments = event
    HAPPENS[what](world, *arguments)


def _carry_out(world: Outside, index: int, fate: Fate) -> None:
    if world.effects:
        world.carry_out(world.effects[index % len(world.effects)], fate)


def _fill(world: Outside, name: str, qty: int, told: bool) -> None:
    if name in world.book and not world.book[name].final:
        world.fill(name, qty, mail=told)


def _hear(world: Outside, index: int, again: bool) -> None:
    if world.mail:
        report = world.mail[index % len(world.mail)]
        if not again:
            world.mail.remove(report)
        world.report(report)


def _amend(world: Outside, name: str, qty: int) -> None:
    if (live := world.core.state.orders.get(name)) is not None:
        to = msgspec.structs.replace(live.order, qty=Decimal(qty))
        world.hear(a(AmendApproved, order=to))


def _drop(world: Outside, name: str) -> None:
    if name in world.book and not world.book[name].final:
        world.book[name].final = "CANCELED"


HAPPENS: Any = {
    "approve": lambda world, changes: world.approve(**changes),
    "carry out": _carry_out,
    "fill": _fill,
    "hear": _hear,
    "cancel": lambda world, name: world.hear(a(CancelOrder, client_order_id=name)),
    "amend": _amend,
    "drop": _drop,
    "state": lambda world, state: world.hear(a(TradingStateChanged, state=state)),
    "connect": lambda world, up: world.connect(up=up),
    "halt": lambda world: world.halt(),
    "lost": lambda world: world.hear(a(GuardianLost)),
    "restart": lambda world: world.restart(),
    "time": lambda world: world.pass_time(),
}


def lived(history: list[Any]) -> Outside:
    world = Outside(**SETTINGS)
    for event in history:
        live_through(world, event)
    return world


@pytest.mark.req("EXE-01", "EXE-02")
@MANY
@given(histories)
def test_whatever_fails_no_order_reaches_the_venue_twice(history: list[Any]):
    world = lived(history)
    world.connect()
    world.settle()
    assert all(times == 1 for times in world.created.values())


@pytest.mark.req("EXE-01")
@MANY
@given(histories)
def test_the_position_is_the_sum_of_fills_and_each_is_said_once(history: list[Any]):
    world = lived(history)
    held, ids = ZERO, set()
    for message in world.said:
        if isinstance(message, OrderFilled):
            assert message.fill_id not in ids
            ids.add(message.fill_id)
            held += message.signed_qty
    assert world.core.state.ledger.qty(EUR_USD) == held


@pytest.mark.req("EXE-01")
@MANY
@given(histories)
def test_when_the_venue_is_quiet_both_books_agree_after_a_bounded_number_of_comparisons(history: list[Any]):
    world = lived(history)
    world.connect()
    for _ in range(4):
        world.pass_time()
        world.settle()
    core = world.core.state
    assert core.reconciliation.breaks == {}
    assert core.ledger.qty(EUR_USD) == world.positions().get(EUR_USD, ZERO)
    at_venue = {name: found.leaves for name, found in world.book.items() if not found.final}
    ours = {
        name: live.leaves_qty for name, live in core.orders.items() if live.state in {"ACCEPTED", "PARTIALLY_FILLED"}
    }
    assert ours == at_venue


@pytest.mark.req("EXE-01")
@MANY
@given(histories)
def test_every_break_that_opens_closes(history: list[Any]):
    world = lived(history)
    world.connect()
    for _ in range(4):
        world.pass_time()
        world.settle()
    open_now: set[str] = set()
    for message in world.said:
        if isinstance(message, ReconciliationBreak) and message.kind is not BreakKind.FILL_MISSING:
            assert (message.break_id in open_now) is not message.open
            open_now ^= {message.break_id}
    assert open_now == set()


@pytest.mark.req("RSK-09")
@MANY
@given(histories, histories)
def test_after_a_stop_no_order_goes_out_and_all_that_works_goes_away(before: list[Any], after: list[Any]):
    world = lived(before)
    world.halt()
    on_their_way = [effect for effect in world.effects if isinstance(effect, SendOrder)]
    for event in after:
        if event[0] != "state":
            live_through(world, event)
            assert all(effect in on_their_way for effect in world.effects if isinstance(effect, SendOrder))
    created = dict(world.created)
    world.connect()
    world.restart()
    for _ in range(4):
        world.pass_time()
        world.settle()
    assert world.created == created
    assert [name for name, found in world.book.items() if not found.final] == []


@pytest.mark.req("RSK-09")
@MANY
@given(histories)
def test_a_stop_asks_for_every_cancel_at_once(history: list[Any]):
    world = lived(history)
    world.halt()
    for live in world.core.state.orders.values():
        assert live.state == "APPROVED" or live.cancel or live.query or live.send or is_flattening(live.order)


# --- any reports at all ------------------------------------------------------------------------------

trades = st.builds(
    lambda name, trade, qty: Traded(
        client_order_id=name,
        venue_order_id="V",
        trade_id=f"{name}-{trade}",
        last_qty=Decimal(qty),
        last_px=Decimal("1.1"),
        commission=ZERO,
        commission_currency="USD",
    ),
    st.sampled_from(NAMES),
    st.integers(1, 4),
    st.sampled_from([1, 6, 10]),
)


@st.composite
def reports(draw: Any) -> Any:
    name = draw(st.sampled_from(NAMES))
    request = draw(st.sampled_from(Request))
    trade = draw(trades)
    return draw(
        st.sampled_from(
            [
                trade,
                Accepted(client_order_id=name, venue_order_id="V"),
                Rejected(client_order_id=name, reason="r"),
                Canceled(client_order_id=name),
                Expired(client_order_id=name),
                CancelRefused(client_order_id=name, reason="r"),
                Amended(client_order_id=name, qty=Decimal(50)),
                AmendRefused(client_order_id=name, reason="r"),
                NotReceived(client_order_id=name, request=request, reason="r"),
                OutcomeUnknown(client_order_id=name, request=request, reason="r"),
                NotFound(client_order_id=name),
                Status(client_order_id=name, venue_order_id="V", working=True),
                Status(client_order_id=name, venue_order_id="V", working=False, final="FILLED"),
                Status(client_order_id=trade.client_order_id, venue_order_id="V", working=True, trades=(trade,)),
            ]
        )
    )


@pytest.mark.req("EXE-01")
@MANY
@given(histories, st.lists(reports(), max_size=60))
def test_no_report_at_any_time_is_a_bug_a_second_booking_or_the_end_of_an_end(events: list[Any], heard: list[Any]):
    world = Outside(**SETTINGS)
    seen: dict[str, tuple[Any, str]] = {}
    for event, report in zip_longest(events, heard):
        if report is not None:
            world.hear(VenueReported(ts_event=T0, report=report))
        if event is not None and event[0] != "fill":
            live_through(world, event)
        state = world.core.state
        for live in [*state.orders.values(), *state.finished.values()]:
            name = live.order.client_order_id
            before = seen.get(name)
            assert before is None or before == live.state or before not in FINAL
            seen[name] = live.state
            assert live.state in TRANSITIONS
            assert live.fills == len(live.trades)
    held = sum((m.signed_qty for m in world.said if isinstance(m, OrderFilled)), ZERO)
    assert world.core.state.ledger.qty(EUR_USD) == held
    assert set(world.core.state.orders).isdisjoint(world.core.state.closed)


@pytest.mark.req("EXE-01")
@MANY
@given(histories)
def test_sends_and_amendments_never_ask_for_more_than_was_approved(history: list[Any]):
    world = Outside(**SETTINGS)
    asked: list[Effect] = []
    for event in history:
        live_through(world, event)
        asked += world.effects
    for effect in asked:
        if isinstance(effect, SendOrder | AmendAtVenue):
            assert 0 < effect.order.qty <= 100
