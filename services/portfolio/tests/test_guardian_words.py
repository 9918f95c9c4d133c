"""What the portfolio learns from the guardian and the operator: halted scopes, weak signals, manual positions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from common.messages import ExecutionStep, MarketSlice, OrderDenied, OrderFilled, PortfolioStep, SignalsStep
from common.messages.orders import OpenOrder
from common.model.enums import DenyCode, Side, TradingState
from common.model.ledger import Position
from common.testing.builders import EUR_USD, a
from portfolio.manual import after_cut

same_fixtures = examples(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


# --- weak signals ----------------------------------------------------------------------------------------


@pytest.mark.req("RSK-05")
def test_weaker_signals_than_the_guardian_asks_for_open_and_grow_nothing_but_what_is_held_stays(
    desk: Any, say: Any
) -> None:
    trader = desk(rebalance_hours=1, drift_band=0.0)
    trader.step(say(confidence=0.6, size_factor=0.5), say("yen", confidence=0.9, ref_px=1.0), eur=1.0, yen=1.0)
    trader.risk(confidence=0.7)
    trader.step(say(confidence=0.6), say("gbp", confidence=0.69), eur=1.0, gbp=1.0)
    assert (trader.held("eur"), trader.held("gbp"), trader.held("yen")) == (3000, 0, 6000)
    trader.step(say(confidence=0.6, size_factor=0.25), say("gbp", confidence=0.7), eur=1.0)
    assert (trader.held("eur"), trader.held("gbp")) == (1500, 6000)
    trader.risk()
    trader.step(eur=1.0)
    trader.step(say(confidence=0.6), eur=1.0)
    assert trader.held("eur") == 6000


@pytest.mark.req("RSK-05")
def test_a_weak_change_of_mind_ends_what_was_held_and_opens_nothing(desk: Any, say: Any) -> None:
    trader = desk()
    trader.step(say(), eur=1.0)
    trader.risk(confidence=0.7)
    trader.step(say(direction="SHORT", confidence=0.6), eur=1.0)
    assert trader.held() == 0


# --- halted scopes ---------------------------------------------------------------------------------------


@pytest.mark.req("RSK-07")
@pytest.mark.parametrize("where", ["", "eur"])
def test_a_halted_strategy_keeps_what_it_has_until_its_opinion_turns_and_opens_nothing(
    desk: Any, say: Any, legs: Any, where: str
) -> None:
    trader = desk(rebalance_hours=1)
    trader.step(say(strategy_id="a"), say(strategy_id="b", stop_fraction=0.04), eur=1.0)
    trader.halt("a", where)
    trader.step(say(strategy_id="a", size_factor=2.0), eur=1.0)
    assert trader.held() == 9000  # 6000 of a, no more; 3000 of b
    step = trader.step(say(strategy_id="a", direction="SHORT"), eur=1.0)
    assert legs(step) == [("eur", -6000, True)]
    trader.step(say(strategy_id="a"), eur=1.0)
    assert trader.held() == 3000
    trader.halt("a", where, halted=False)
    trader.step(eur=1.0)
    assert trader.held() == 9000  # its latest opinion, at the next rebalance


@pytest.mark.req("RSK-07")
def test_a_strategy_halted_in_one_instrument_trades_on_in_others(desk: Any, say: Any) -> None:
    trader = desk()
    trader.halt("s", "eur")
    trader.step(say(), say("gbp"), eur=1.0, gbp=1.0)
    assert (trader.held("eur"), trader.held("gbp")) == (0, 6000)


@pytest.mark.req("RSK-09")
@pytest.mark.parametrize(
    ("strategy_id", "name", "frozen"),
    [("", "eur", ["eur"]), ("book", "eur", ["eur"]), ("book", "", ["eur", "gbp"]), ("manual", "eur", [])],
)
def test_a_halted_instrument_takes_no_new_risk_and_lets_out(
    desk: Any, say: Any, strategy_id: str, name: str, frozen: list[str]
) -> None:
    trader = desk()
    trader.step(say(size_factor=0.5), say("gbp", size_factor=0.5), eur=1.0, gbp=1.0)
    trader.halt(strategy_id, name)
    trader.step(say(), say("gbp"), eur=1.0)
    assert [trader.held("eur"), trader.held("gbp")] == [3000 if n in frozen else 6000 for n in ("eur", "gbp")]
    trader.step(say(direction="SHORT"), say("gbp", "SHORT"), eur=1.0)
    assert [trader.held("eur"), trader.held("gbp")] == [0 if n in frozen else -6000 for n in ("eur", "gbp")]
    trader.halt(strategy_id, name, halted=False)
    trader.step(eur=1.0)
    assert [trader.held("eur"), trader.held("gbp")] == [-6000, -6000]


# --- manual positions ------------------------------------------------------------------------------------


@pytest.mark.req("PFL-01")
def test_the_book_trades_around_a_manual_position(desk: Any, say: Any, legs: Any) -> None:
    trader = desk(trade_band=0.3)
    trader.step(say(), eur=1.0)
    trader.trade("eur", 100_000, "manual")
    step = trader.step(eur=1.0)
    assert (step.orders, step.targets[0].signed_qty) == ((), 106_000)
    assert step.targets[0].reason == "s 1d +6000, manual +100000"
    assert legs(trader.step(say(direction="FLAT"), eur=1.0)) == [("eur", -6000, True)]
    assert legs(trader.step(say(direction="SHORT"), eur=1.0)) == [("eur", -6000, True)]
    trader.trade("eur", -100_000, "manual")
    assert trader.step(eur=1.0).orders == ()
    assert trader.held() == -6000


@pytest.mark.req("PFL-01")
def test_a_manual_order_that_works_is_nothing_the_book_has_under_way(desk: Any, say: Any) -> None:
    trader = desk(trades=False)
    resting = a(OpenOrder, strategy_id="manual", signed_leaves_qty=Decimal(5000))
    (order,) = trader.step(say(), eur=1.0, working=[resting]).orders
    assert order.signed_qty == 6000
    own = a(OpenOrder, strategy_id="book", signed_leaves_qty=Decimal(6000))
    assert trader.step(eur=1.0, working=[resting, own]).orders == ()


@pytest.mark.req("PFL-01")
def test_a_manual_fill_counts_from_the_execution_step_that_holds_it(desk: Any) -> None:
    core = desk().core

    def parts(step: int, held: int) -> list[Any]:
        common: dict[str, Any] = {"ts_event": step, "book": "fx", "step": step}
        position = a(Position, signed_qty=Decimal(held))
        execution = ExecutionStep(**common, cash={}, positions=(position,))
        quote = a(MarketSlice).quotes
        return [MarketSlice(**common, quotes=quote), SignalsStep(**common), execution]

    first, second = parts(1, 0), parts(2, 500)
    filled = a(OrderFilled, strategy_id="manual", side=Side.BUY, last_qty=Decimal(500))
    for message in (first[2], filled, second[2], first[0], second[0]):
        assert not core.handle(message)
    answers = [core.handle(first[1]), core.handle(second[1])]
    steps = [step for (step,) in answers]
    assert all(isinstance(step, PortfolioStep) and not step.orders for step in steps)
    assert [[target.signed_qty for target in step.targets] for step in steps] == [[], [500]]


@pytest.mark.req("PFL-01", "RSK-02")
def test_what_is_denied_to_others_does_not_stop_the_book(desk: Any, say: Any) -> None:
    trader = desk(trades=False)
    (order,) = trader.step(say(), eur=1.0).orders
    others = a(type(order), strategy_id="manual", instrument_id=EUR_USD)
    trader.core.handle(a(OrderDenied, order=others, code=DenyCode.MAX_POSITION))
    assert len(trader.step(eur=1.0).orders) == 1


@pytest.mark.req("RSK-04")
@pytest.mark.parametrize(
    ("manual", "cut", "left"),
    [
        (2000, -4000, 2000),  # of 6000 + 2000 the strategies' go first
        (2000, -7000, 1000),
        (2000, -8000, 0),
        (-2000, -2000, -2000),  # of 6000 - 2000
        (-2000, -4000, 0),  # flat is flat for everybody
    ],
)
def test_the_guardians_cuts_take_the_manual_part_last(desk: Any, say: Any, manual: int, cut: int, left: int) -> None:
    trader = desk(trades=False)
    trader.step(say(), eur=1.0)
    trader.book(EUR_USD, Decimal(6000))
    trader.trade("eur", manual, "manual")
    trader.step(eur=1.0)
    trader.risk(TradingState.HALTED, exposure=0.0)
    trader.trade("eur", cut, "risk_guardian")
    trader.step(eur=1.0)
    assert trader.core.state.manual.get(EUR_USD, 0) == left
    trader.risk(exposure=0.0)
    trader.trades = True
    trader.step(eur=1.0)
    assert trader.held() == left


quantities = st.integers(-10, 10).map(Decimal)


@given(manual=quantities, held=quantities)
def test_a_cut_never_grows_or_turns_the_manual_part(manual: Decimal, held: Decimal) -> None:
    left = after_cut(manual, held)
    assert abs(left) <= abs(manual)
    assert left * manual >= 0
    assert manual * held <= 0 or abs(left) <= abs(held)


@pytest.mark.req("PFL-01")
@same_fixtures
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["LONG", "SHORT", "FLAT", None]), st.integers(-9, 9), st.sampled_from([0.97, 1.0, 1.02])
        ),
        max_size=12,
    )
)
def test_the_books_orders_never_trade_the_manual_part(desk: Any, say: Any, script: list[Any]) -> None:
    beside, alone = desk(trade_band=0.3), desk(trade_band=0.3)
    manual = 0
    for direction, thousands, px in script:
        opinions = [say(direction=direction, ref_px=px)] if direction else []
        steps = [trader.step(*opinions, eur=px) for trader in (beside, alone)]
        traded = [sum((order.signed_qty for order in step.orders), Decimal(0)) for step in steps]
        assert beside.held() - manual == pytest.approx(alone.held(), abs=700)  # equity differs, so sizes do a little
        assert (traded[0] == 0) == (traded[1] == 0)
        if thousands:
            beside.trade("eur", thousands, "manual")
            manual += thousands
