"""Many opinions, one target book: netting, stops, cuts, what is proposed and what is not (PFL-01, PFL-02, PFL-07)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from common.messages import ExecutionStep, MarketSlice, OrderDenied, SignalsStep
from common.messages.market_data import Quote
from common.messages.orders import OpenOrder
from common.model.enums import DenyCode, Tier, TradingState
from common.testing.builders import EUR_USD, a

PASSING = {
    DenyCode.TRADING_HALTED,
    DenyCode.WOULD_INCREASE,
    DenyCode.STRATEGY_HALTED,
    DenyCode.INSTRUMENT_HALTED,
    DenyCode.ORDER_RATE,
    DenyCode.STRATEGY_ORDER_RATE,
    DenyCode.CANCEL_RATE,
    DenyCode.NOTIONAL_RATE,
    DenyCode.OPEN_ORDERS,
    DenyCode.DUPLICATE_CONTENT,
    DenyCode.SELF_TRADE,
    DenyCode.DAILY_LOSS,
    DenyCode.STALE_PRICE,
    DenyCode.NO_PRICE,
    DenyCode.NO_QUOTE,
    DenyCode.NO_EQUITY,
    DenyCode.MARKET_CLOSED,
    DenyCode.EVENT_BLACKOUT,
    DenyCode.CLOCK_JUMP,
    DenyCode.VERSION_MISMATCH,
    DenyCode.RECONCILIATION_BREAK,
    DenyCode.VENUE_DOWN,
    DenyCode.STALE_APPROVAL,
    DenyCode.GUARDIAN_SILENT,
    DenyCode.INTENT_NOT_RECORDED,
}


@pytest.mark.req("PFL-01")
def test_opinions_about_one_instrument_are_netted_into_one_target_and_one_order(desk: Any, say: Any, legs: Any) -> None:
    step = desk().step(say(strategy_id="a"), say(strategy_id="b", tier=Tier.GROWTH, direction="SHORT"), eur=1.0)
    (target,) = step.targets
    assert (target.signed_qty, [share.signed_qty for share in target.contributions]) == (3000, [6000, -3000])
    assert legs(step) == [("eur", 3000, False)]
    assert step.orders[0].reason == "a 1d: MA 20 crossed above MA 50; b 1d: MA 20 crossed above MA 50"


@pytest.mark.req("PFL-01")
def test_a_flip_is_an_exit_and_an_entry(desk: Any, say: Any, legs: Any) -> None:
    trader = desk()
    trader.step(say(), eur=1.0)
    step = trader.step(say(direction="SHORT"), eur=1.0)
    assert legs(step) == [("eur", -6000, True), ("eur", -6000, False)]
    assert len({order.client_order_id for order in step.orders}) == 2
    assert trader.held() == -6000


@pytest.mark.req("PFL-01")
def test_an_exit_is_reduce_only_and_a_growth_is_not(desk: Any, say: Any, legs: Any) -> None:
    trader = desk()
    trader.step(say(), eur=1.0)
    assert legs(trader.step(say(strategy_id="b"), eur=1.0)) == [("eur", 6000, False)]
    assert legs(trader.step(say(strategy_id="b", direction="FLAT"), eur=1.0)) == [("eur", -6000, True)]
    assert legs(trader.step(say(direction="FLAT"), eur=1.0)) == [("eur", -6000, True)]


@pytest.mark.req("PFL-01")
def test_what_already_works_is_not_ordered_again(desk: Any, say: Any) -> None:
    trader = desk(trades=False)
    (order,) = trader.step(say(), eur=1.0).orders
    working = a(OpenOrder, instrument_id=EUR_USD, signed_leaves_qty=order.signed_qty)
    assert trader.step(working=[working], eur=1.0).orders == ()
    assert trader.step(eur=1.0).orders[0].qty == order.qty  # the venue rejected it: asked again


def test_the_step_waits_for_slice_signals_and_execution_in_any_order(desk: Any) -> None:
    said: dict[str, Any] = {"ts_event": 1, "book": "fx", "step": 1}
    parts = [MarketSlice(**said), SignalsStep(**said), ExecutionStep(**said, cash={})]
    for first, second, last in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        core = desk().core
        core.handle(parts[0])
        answers = [core.handle(parts[i]) for i in (first, second, last) if i != 0]
        assert [len(answer) for answer in answers] == [0, 1]


@pytest.mark.req("PFL-07")
@pytest.mark.parametrize(
    ("direction", "reach", "stopped"),
    [("LONG", 0.9801, False), ("LONG", 0.98, True), ("SHORT", 1.0199, False), ("SHORT", 1.02, True)],
)
def test_a_share_is_closed_when_its_stop_is_touched(
    desk: Any, say: Any, direction: str, reach: float, stopped: bool
) -> None:
    trader = desk()
    trader.step(say(direction=direction), eur=1.0)
    trader.step(eur=1.0, low={"eur": min(reach, 1.0)}, high={"eur": max(reach, 1.0)})
    assert (trader.held() == 0) is stopped


@pytest.mark.req("PFL-07")
def test_a_stop_closes_the_share_of_its_strategy_and_no_other(desk: Any, say: Any, legs: Any) -> None:
    trader = desk()
    trader.step(say(strategy_id="near"), say(strategy_id="far", stop_fraction=0.04), eur=1.0)
    assert legs(trader.step(eur=1.0, low={"eur": 0.97})) == [("eur", -6000, True)]


@pytest.mark.req("RSK-04")
def test_tightened_stops_are_touched_earlier(desk: Any, say: Any) -> None:
    trader = desk()
    trader.step(say(), eur=1.0)
    trader.risk(stops=0.5)
    trader.step(eur=1.0, low={"eur": 0.9901})
    assert trader.held() == 6000
    trader.step(eur=1.0, low={"eur": 0.99})
    assert trader.held() == 0


@pytest.mark.req("PFL-07")
def test_an_opinion_that_was_stopped_out_is_not_heard_again_until_it_changes(desk: Any, say: Any) -> None:
    trader = desk(rebalance_hours=1)
    trader.step(say(), eur=1.0)
    trader.step(eur=1.0, low={"eur": 0.97})
    for _ in range(3):
        trader.step(say(strength=0.1), eur=1.0)
        assert trader.held() == 0
    trader.step(say(direction="SHORT"), eur=1.0)
    assert trader.held() == -6000
    trader.step(say(), eur=1.0)
    assert trader.held() == 6000


@pytest.mark.req("PFL-02")
def test_an_opinion_that_found_no_room_is_heard_at_the_next_rebalance(desk: Any, say: Any) -> None:
    trader = desk(max_total_risk=0.002, rebalance_hours=24)  # 200 dollars, 120 of them for the core
    trader.step(say(), say("gbp"), eur=1.0, gbp=1.0)
    assert (trader.held("eur"), trader.held("gbp")) == (6000, 0)
    trader.step(say(direction="FLAT"), eur=1.0)
    assert trader.held("gbp") == 0
    trader.step(hours=24, gbp=1.0)
    assert trader.held("gbp") == 6000


def test_an_opinion_about_something_without_a_price_waits_for_one(desk: Any, say: Any) -> None:
    trader = desk(rebalance_hours=1)
    assert trader.step(say("gbp"), eur=1.0).orders == ()
    trader.step(gbp=1.0)
    assert trader.held("gbp") == 6000


@pytest.mark.req("PFL-02", "PFL-07")
def test_no_tier_takes_more_than_its_share_of_the_risk(desk: Any, say: Any) -> None:
    trader = desk(max_total_risk=0.002)
    crowd = [
        say(name, strategy_id=f"{tier}-{n}", tier=tier) for tier in Tier for n in range(4) for name in ("eur", "gbp")
    ]
    step = trader.step(*crowd, eur=1.0, gbp=1.0)
    taken = dict.fromkeys(Tier, Decimal(0))
    for target in step.targets:
        for share in target.contributions:
            taken[Tier(share.strategy_id.split("-")[0])] += share.risk
    assert taken == {Tier.CORE: 120, Tier.GROWTH: 60, Tier.TACTICAL: 20}
    assert step.total_risk == 200


@pytest.mark.req("PFL-02")
@pytest.mark.parametrize(("px", "qty"), [(1.15, 6000), (1.3, 4615)])
def test_a_rebalance_corrects_what_drifted_out_of_its_band_and_only_at_its_time(
    desk: Any, say: Any, px: float, qty: int
) -> None:
    trader = desk(rebalance_hours=24, drift_band=0.2, max_total_risk=0.002)  # of which the share takes all
    trader.ledger.cash["USD"] = Decimal(100_000)
    trader.step(say(), eur=1.0)
    trader.ledger.credit("USD", Decimal(100_000) - trader.ledger.cash["USD"] - 6000 * Decimal(str(px)))
    trader.step(eur=px)
    assert trader.held() == 6000
    trader.step(hours=24, eur=px)
    assert trader.held() == qty


@pytest.mark.req("PFL-07")
def test_when_equity_shrinks_all_shares_shrink_with_it(desk: Any, say: Any) -> None:
    trader = desk(max_total_risk=0.0012, allocation={Tier.CORE: 1.0}, risk_per_trade=0.0012)
    trader.step(say(), eur=1.0)
    assert trader.held() == 6000
    trader.ledger.credit("USD", Decimal(-50_000))
    step = trader.step(eur=1.0)
    assert trader.held() == 2850  # half, and 5 % of room
    assert (step.total_risk, step.equity) == (57, 50_000)


@pytest.mark.req("RSK-04")
def test_a_cut_of_exposure_scales_every_target(desk: Any, say: Any, legs: Any) -> None:
    trader = desk(trade_band=0.5)
    trader.step(say(), say("gbp", "SHORT"), eur=1.0, gbp=1.0)
    trader.risk(exposure=0.75)
    assert legs(trader.step(eur=1.0)) == [("eur", -1500, True), ("gbp", 1500, True)]
    trader.risk(exposure=1.0)
    assert legs(trader.step(eur=1.0)) == []  # back up only beyond the trade band


@pytest.mark.req("PFL-01")
@pytest.mark.parametrize(("band", "traded"), [(0.3, False), (0.2, True)])
def test_a_position_near_its_target_is_left_alone(desk: Any, say: Any, band: float, traded: bool) -> None:
    trader = desk(trade_band=band)
    trader.step(say(), eur=1.0)
    step = trader.step(say(size_factor=0.75), eur=1.0)
    assert step.targets[0].signed_qty == 4500
    assert (trader.held() == 4500) is traded


@pytest.mark.req("PFL-01")
def test_small_changes_are_not_worth_their_cost_but_exits_always_are(desk: Any, say: Any) -> None:
    trader = desk(min_trade_notional=5000.0)
    trader.step(say(tier=Tier.TACTICAL), eur=1.0)
    assert trader.held() == 0
    trader.step(say(), eur=1.0)
    trader.step(say(size_factor=0.25), eur=1.0)
    assert trader.held() == 6000
    trader.step(say(direction="FLAT"), eur=0.1)
    assert trader.held() == 0


@pytest.mark.req("RSK-02")
def test_a_refused_target_is_not_proposed_again_until_it_changes(desk: Any, say: Any) -> None:
    trader = desk(trades=False)
    (order,) = trader.step(say(), eur=1.0).orders
    trader.core.handle(a(OrderDenied, order=order, code=DenyCode.MAX_POSITION))
    assert trader.step(eur=1.0).orders == ()
    assert [o.qty for o in trader.step(say(size_factor=0.5), eur=1.0).orders] == [3000]
    assert [o.qty for o in trader.step(say(), eur=1.0).orders] == [6000]


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize("code", DenyCode)
def test_what_was_denied_for_a_passing_reason_is_proposed_again(desk: Any, say: Any, code: DenyCode) -> None:
    trader = desk(trades=False)
    (order,) = trader.step(say(), eur=1.0).orders
    trader.core.handle(a(OrderDenied, order=order, code=code))
    assert bool(trader.step(eur=1.0).orders) is (code in PASSING)


@pytest.mark.req("RSK-02")
def test_what_keeps_being_denied_is_asked_for_less_and_less_often(desk: Any, say: Any) -> None:
    trader = desk(trades=False, retry_minutes=4 * 60)
    asked = []
    for hour in range(24):
        orders = trader.step(*([say()] if hour == 0 else []), eur=1.0).orders
        for order in orders:
            asked.append(hour)
            trader.core.handle(a(OrderDenied, ts_event=trader.ts, order=order, code=DenyCode.MARKET_CLOSED))
    # a minute, 2, 4, ... are over by the next hour; then 64, 128, 240 minutes
    assert asked == [0, 1, 2, 3, 4, 5, 6, 8, 11, 15, 19, 23]
    assert [order.qty for order in trader.step(say(size_factor=0.5), eur=1.0).orders] == [3000]


@pytest.mark.req("RSK-02")
def test_a_new_trading_state_ends_the_waiting(desk: Any, say: Any) -> None:
    trader = desk(trades=False, retry_minutes=24 * 60)
    (order,) = trader.step(say(), eur=1.0).orders
    for _ in range(8):
        trader.core.handle(a(OrderDenied, ts_event=trader.ts, order=order, code=DenyCode.STALE_PRICE))
    assert trader.step(eur=1.0).orders == ()
    trader.risk(TradingState.REDUCING)
    trader.risk(TradingState.ACTIVE)
    assert len(trader.step(eur=1.0).orders) == 1


@pytest.mark.req("RSK-02")
def test_the_way_out_of_a_flip_does_not_wait_with_the_way_in(desk: Any, say: Any) -> None:
    trader = desk(retry_minutes=24 * 60)
    trader.step(say(), eur=1.0)
    trader.trades = False
    _, entry = trader.step(say(direction="SHORT"), eur=1.0).orders
    for _ in range(8):
        trader.core.handle(a(OrderDenied, ts_event=trader.ts, order=entry, code=DenyCode.STALE_PRICE))
    assert [order.signed_qty for order in trader.step(eur=1.0).orders] == [-6000]


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize("code", DenyCode)
def test_a_way_out_is_asked_for_again_whatever_the_answer_was(desk: Any, say: Any, code: DenyCode) -> None:
    trader = desk()
    trader.step(say(), eur=1.0)
    trader.trades = False
    (order,) = trader.step(say(direction="FLAT"), eur=1.0).orders
    trader.core.handle(a(OrderDenied, order=order, code=code))
    assert [o.signed_qty for o in trader.step(eur=1.0).orders] == [-6000]


@pytest.mark.req("RSK-09")
def test_nothing_is_proposed_while_trading_is_halted_and_everything_after(desk: Any, say: Any) -> None:
    trader = desk()
    trader.step(say(), eur=1.0)
    trader.risk(TradingState.HALTED)
    step = trader.step(say(direction="FLAT"), say("gbp"), eur=1.0, gbp=1.0)
    assert (len(step.targets), step.orders) == (2, ())
    trader.risk()
    trader.step(eur=1.0)
    assert (trader.held("eur"), trader.held("gbp")) == (0, 6000)


@pytest.mark.req("RSK-04")
@pytest.mark.parametrize(
    ("said", "proposed"),
    [
        ({"size_factor": 0.5}, [("eur", -3000, True)]),
        ({"direction": "FLAT"}, [("eur", -6000, True)]),
        ({"direction": "SHORT"}, [("eur", -6000, True)]),  # out, but not in on the other side
        ({"stop_fraction": 0.01}, []),  # twice the size
    ],
)
def test_while_reducing_only_reductions_are_proposed(
    desk: Any, say: Any, legs: Any, said: dict[str, Any], proposed: list[Any]
) -> None:
    trader = desk()
    trader.step(say(), eur=1.0)
    trader.risk(TradingState.REDUCING)
    assert legs(trader.step(say(**said), say("gbp"), eur=1.0, gbp=1.0)) == proposed


def test_every_step_shows_equity_and_exposure_in_the_account_currency(desk: Any, say: Any) -> None:
    trader = desk()
    trader.step(say(), say("yen", "SHORT", ref_px=100.0), eur=1.0, yen=100.0)
    step = trader.step(eur=1.1, yen=110.0, high={"yen": 100.0})
    assert (step.gross_exposure, step.net_exposure) == (pytest.approx(Decimal(12_600)), pytest.approx(Decimal(600)))
    assert step.equity == pytest.approx(Decimal(100_000) + 600 - Decimal(60_000) / 110)


def test_equity_is_empty_while_something_held_has_no_price(desk: Any) -> None:
    trader = desk()
    trader.ledger.apply_fill(trader.instruments[EUR_USD], Decimal(5), Decimal(1), Decimal(0))
    assert trader.step(gbp=1.0).equity is None


def test_a_quote_prices_as_well_as_a_bar(desk: Any) -> None:
    core = desk().core
    core.handle(MarketSlice(ts_event=1, book="fx", step=1, quotes=(a(Quote),)))
    core.handle(SignalsStep(ts_event=1, book="fx", step=1))
    core.handle(ExecutionStep(ts_event=1, book="fx", step=1, cash={}))
    assert core.state.last_px == {EUR_USD: Decimal("1.0412")}
