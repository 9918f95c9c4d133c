"""How a plan is carried out: children, their sizes and prices, and never more of them than the parent (EXE-05)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages.orders import Order
from common.model.enums import Algorithm, OrderType, Side
from common.model.instrument import Instrument
from common.model.time import NS_PER_MINUTE
from common.testing.builders import a
from execution.algorithms import Plan
from execution.market_view import InstrumentView
from execution.schedule import MAX_REFUSALS, Cancel, Progress, Submit, is_over, next_actions

INSTRUMENT = a(Instrument, price_increment=Decimal("0.01"), qty_increment=Decimal("0.1"))
FIVE = 5 * NS_PER_MINUTE


def limit(**changes: Any) -> Plan:
    plain: dict[str, Any] = {"algorithm": Algorithm.LIMIT, "start_ns": 0, "end_ns": FIVE, "patience_ns": FIVE}
    return Plan(**{**plain, **changes})


def sliced(slices: int, **changes: Any) -> Plan:
    interval, patience = NS_PER_MINUTE, changes.get("patience_ns", 0)
    end = (slices - 1) * interval + patience
    plain: dict[str, Any] = {"algorithm": Algorithm.TWAP, "start_ns": 0, "end_ns": end, "interval_ns": interval}
    return Plan(slices=slices, **{**plain, **changes})


class Desk:
    """A parent of 10 and its children, in a market of 99.95 to 100.05."""

    def __init__(self, plan: Plan, qty: float = 10, side: Side = Side.BUY) -> None:
        self.plan = plan
        self.order = a(
            Order, qty=Decimal(str(qty)), side=side, order_type=OrderType.MARKET, limit_px=None, stop_px=None
        )
        self.progress = Progress()
        self.view = InstrumentView(mid=100.0, half_spread=0.05)

    def at(self, minute: float) -> list[str]:
        """What is asked for: `+c1 2.5@99.95`, `+c2 1@market`, `-c1`."""
        ts = int(minute * NS_PER_MINUTE)
        actions = next_actions(self.order, self.plan, self.progress, self.view, INSTRUMENT, ts)
        return [self._say(action) for action in actions]

    def all_at(self, minute: float) -> list[str]:
        """Until nothing more is asked for; cancels are done at once."""
        said: list[str] = []
        while asked := self.at(minute):
            said += asked
            for name in (word[1:] for word in asked if word.startswith("-")):
                self.close(name)
        return said

    def fill(self, name: str, qty: float) -> None:
        self.progress.fill(f"{self.order.client_order_id}-{name}", Decimal(str(qty)))

    def close(self, name: str) -> None:
        self.progress.close(f"{self.order.client_order_id}-{name}")

    @property
    def over(self) -> bool:
        return is_over(self.order, self.progress)

    def _say(self, action: Submit | Cancel) -> str:
        parent = f"{self.order.client_order_id}-"
        if isinstance(action, Cancel):
            return f"-{action.client_order_id.removeprefix(parent)}"
        child = action.order
        px = "market" if child.limit_px is None else f"{child.limit_px}"
        return f"+{child.client_order_id.removeprefix(parent)} {child.qty.normalize():f}@{px}"


@pytest.mark.req("EXE-05")
def test_a_posted_order_rests_and_what_is_left_crosses_when_its_patience_ends() -> None:
    desk = Desk(limit())
    assert desk.at(0) == ["+c1 10@99.95"]
    assert desk.at(1) == []
    desk.fill("c1", 4)
    assert desk.at(4) == []
    assert desk.at(5) == ["-c1"]
    assert desk.at(5) == []  # until it is gone its quantity is not free
    desk.close("c1")
    assert desk.at(5) == ["+c2 6@market"]
    assert desk.at(6) == []
    desk.fill("c2", 6)
    assert desk.over


def test_a_child_is_its_parent_but_for_what_makes_it_a_child() -> None:
    desk = Desk(limit())
    (action,) = next_actions(desk.order, desk.plan, desk.progress, desk.view, INSTRUMENT, 0)
    assert isinstance(action, Submit)
    child, parent = action.order, desk.order
    assert (child.client_order_id, child.parent_id) == (f"{parent.client_order_id}-c1", parent.client_order_id)
    assert (child.order_type, child.post_only, child.limit_px) == (OrderType.LIMIT, True, Decimal("99.95"))
    same = ("account", "strategy_id", "instrument_id", "side", "reduce_only", "expire_ns", "ref_px")
    assert all(getattr(child, name) == getattr(parent, name) for name in same)


@pytest.mark.req("EXE-05")
@pytest.mark.parametrize(
    ("side", "improve", "half", "px"),
    [
        (Side.BUY, 0.0, 0.05, "99.95"),
        (Side.SELL, 0.0, 0.05, "100.05"),
        (Side.BUY, 0.5, 0.05, "100.00"),
        (Side.BUY, 1.0, 0.05, "100.04"),  # a tick short of the far side
        (Side.SELL, 1.0, 0.05, "99.96"),
        (Side.BUY, 0.0, 0.053, "99.94"),  # away from the market
        (Side.SELL, 0.0, 0.053, "100.06"),
        (Side.BUY, 1.0, 0.0, "99.99"),
    ],
)
def test_a_posted_price_lies_between_the_near_side_and_a_tick_short_of_the_far_one(
    side: Side, improve: float, half: float, px: str
) -> None:
    desk = Desk(limit(improve=improve), side=side)
    desk.view.half_spread = half
    assert desk.at(0) == [f"+c1 10@{px}"]


@pytest.mark.req("EXE-05")
def test_a_posted_order_follows_the_market_and_only_when_it_moves_away() -> None:
    desk = Desk(limit())
    desk.at(0)
    desk.view.mid = 99.8
    assert desk.all_at(1) == []
    desk.view.mid = 100.2
    assert desk.all_at(2) == ["-c1", "+c2 10@100.15"]


def test_a_post_only_order_that_would_have_crossed_is_posted_again_once_an_instant() -> None:
    desk = Desk(limit())
    desk.at(0)
    desk.close("c1")
    assert desk.at(0) == []
    assert desk.at(1) == ["+c2 10@99.95"]


@pytest.mark.req("EXE-05")
def test_slices_are_equal_up_to_an_increment_and_the_last_takes_the_rest() -> None:
    desk, asked = Desk(sliced(3), qty=10), []
    for minute in range(3):
        asked += desk.all_at(minute)
        desk.fill(f"c{minute + 1}", float(asked[-1].split()[1].split("@")[0]))
    assert asked == ["+c1 3.3@market", "+c2 3.3@market", "+c3 3.4@market"]
    assert desk.over


@pytest.mark.req("EXE-05")
def test_slices_follow_the_profile_of_the_volume() -> None:
    desk = Desk(sliced(3, algorithm=Algorithm.VWAP, through=(0.2, 0.9, 1.0)))
    assert [*desk.at(0), *desk.at(1), *desk.at(2)] == ["+c1 2@market", "+c2 7@market", "+c3 1@market"]


def test_a_quantity_off_the_increment_is_the_last_slices_trouble() -> None:
    desk = Desk(sliced(2), qty=10.05)
    assert [*desk.at(0), *desk.at(1)] == ["+c1 5@market", "+c2 5.05@market"]


def test_slices_missed_in_a_gap_go_out_together() -> None:
    desk = Desk(sliced(4))
    assert desk.at(0) == ["+c1 2.5@market"]
    assert desk.at(1000) == ["+c2 7.5@market"]


def test_slices_too_small_for_the_venue_are_merged_with_the_next() -> None:
    desk = Desk(sliced(4, algorithm=Algorithm.VWAP, through=(0.1, 0.2, 0.7, 1.0), min_qty=Decimal(2)))
    assert [desk.at(minute) for minute in range(4)] == [[], ["+c1 2@market"], ["+c2 5@market"], ["+c3 3@market"]]


@pytest.mark.req("EXE-05")
def test_posted_slices_cross_each_when_its_own_patience_ends() -> None:
    desk = Desk(sliced(2, patience_ns=2 * NS_PER_MINUTE))
    assert desk.all_at(0) == ["+c1 5@99.95"]
    assert desk.all_at(1) == ["+c2 5@99.95"]
    assert desk.all_at(2) == ["-c1", "-c2", "+c3 5@market", "+c4 5@99.95"]
    desk.fill("c3", 5)
    assert desk.all_at(3) == ["-c4", "+c5 5@market"]


def test_a_venue_that_takes_nothing_is_left_alone_after_three_tries() -> None:
    desk = Desk(sliced(2))
    for minute in range(MAX_REFUSALS):
        assert desk.at(minute)[0].startswith(f"+c{minute + 1} ")
        assert desk.at(minute) == []
        assert not desk.over
        desk.close(f"c{minute + 1}")
        assert desk.at(minute) == []
    assert desk.over
    assert desk.at(10) == []


def test_a_late_fill_of_a_canceled_child_takes_others_off_the_market() -> None:
    desk = Desk(limit())
    desk.at(0)
    desk.view.mid = 100.2
    assert desk.all_at(1) == ["-c1", "+c2 10@100.15"]
    desk.fill("c1", 4)
    assert desk.all_at(1) == ["-c2"]
    assert desk.all_at(2) == ["+c3 6@100.15"]


plans = st.one_of(
    st.builds(limit, improve=st.floats(0, 1), patience_ns=st.just(FIVE)),
    st.builds(sliced, st.integers(2, 8)),
    st.builds(
        lambda n, patience: sliced(n, patience_ns=patience * NS_PER_MINUTE), st.integers(2, 8), st.integers(1, 4)
    ),
    st.just(sliced(4, algorithm=Algorithm.VWAP, through=(0.05, 0.6, 0.65, 1.0), min_qty=Decimal(1))),
)
# What the venue does next to the first child in flight, and how the mid moves.
answers = st.tuples(
    st.sampled_from(["nothing", "part", "all", "refuse", "cancel"]), st.integers(-30, 30), st.booleans()
)


@pytest.mark.req("EXE-05")
@given(plan=plans, qty=st.integers(1, 100), side=st.sampled_from(Side), story=st.lists(answers, max_size=40))
def test_children_in_flight_and_filled_are_never_more_than_the_parent(
    plan: Plan, qty: int, side: Side, story: list[tuple[str, int, bool]]
) -> None:
    desk, minute, seen = Desk(plan, qty / 10, side), 0, []
    for answer, cents, passes in story:
        for word in desk.at(minute):
            if word.startswith("+"):
                seen.append(word.split()[0])
                assert Decimal(word.split()[1].split("@")[0]) % INSTRUMENT.qty_increment == 0
            else:
                assert word[1:] in {name[1:] for name in seen}
        assert desk.progress.in_flight + desk.progress.filled <= desk.order.qty
        _answer(desk, answer)
        desk.view.mid += cents / 100
        minute += passes
    assert seen == [f"+c{i + 1}" for i in range(len(seen))]
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(desk.progress), type=Progress)
    assert restored == desk.progress


def _answer(desk: Desk, answer: str) -> None:
    progress = desk.progress
    asked = [name for name, child in progress.children.items() if child.canceling]
    name = next(iter(asked if answer == "cancel" else progress.children), None)
    match answer:
        case "part" | "all" if name is not None:
            leaves = progress.children[name].leaves
            progress.fill(name, leaves if answer == "all" else min(leaves, INSTRUMENT.qty_increment))
        case "refuse" | "cancel" if name is not None:
            progress.close(name)


@pytest.mark.req("EXE-05")
@given(plan=plans, qty=st.integers(1, 100), side=st.sampled_from(Side), resting=st.booleans())
def test_all_of_it_has_traded_when_the_plan_ends(plan: Plan, qty: int, side: Side, resting: bool) -> None:
    """At a venue that fills what crosses, and what rests never or at once."""
    desk = Desk(plan, qty / 10, side)
    for minute in range(plan.end_ns // NS_PER_MINUTE + 1):
        desk.all_at(minute)
        for name, child in list(desk.progress.children.items()):
            if resting or not child.posted:
                desk.progress.fill(name, child.leaves)
    assert desk.over
    assert desk.progress.filled == desk.order.qty
