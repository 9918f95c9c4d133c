"""Every pre-trade check denies with its code and numbers, cuts where it can, and lets pass what is within it (RSK-02)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from common.messages import OrderApproved, OrderDenied
from common.model.enums import DenyCode, OrderType
from common.model.time import NS_PER_HOUR, NS_PER_MINUTE, from_datetime
from common.testing.builders import EUR_USD
from risk_guardian.checks import CHECKS, NEEDED_PRICES, fx_week_open
from risk_guardian.limits import Session

SATURDAY = from_datetime(datetime(2017, 1, 7, 12, tzinfo=UTC))


def verdict(said: Any) -> tuple[Any, ...]:
    """(code, observed, limit) of a refusal, (quantity, rule) of an approval."""
    if isinstance(said, OrderDenied):
        return said.code, said.observed, said.limit
    return said.order.qty, said.rule


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize(
    ("limits", "signed_qty", "refused", "cut"),
    [
        ({"max_order_qty": 600}, 1000, (DenyCode.MAX_QTY, 1000, 600), 600),
        ({"max_order_notional": 0.5}, 50_000, (DenyCode.MAX_NOTIONAL, 55_000, 50_000), 45_454),
        ({"max_position": 0.5}, -50_000, (DenyCode.MAX_POSITION, 55_000, 50_000), 45_454),
        ({"max_gross_exposure": 0.5}, 50_000, (DenyCode.MAX_GROSS_EXPOSURE, 55_000, 50_000), 45_454),
    ],
)
def test_an_order_over_a_limit_is_cut_to_it_or_denied_where_cutting_is_off(
    guard: Any, limits: dict[str, Any], signed_qty: int, refused: tuple[Any, ...], cut: int
) -> None:
    assert verdict(guard(resize=False, **limits).judge(signed_qty)) == refused
    resized = guard(**limits).judge(signed_qty)
    code, observed, limit = resized.rule.replace(" over", ":").split(": ")
    assert (code, Decimal(observed), Decimal(limit)) == refused
    assert (resized.order.qty, resized.resized_from) == (cut, abs(signed_qty))
    within = guard(**limits).judge(cut if signed_qty > 0 else -cut)
    assert (within.order.qty, within.resized_from, within.rule) == (cut, None, "")


@pytest.mark.req("RSK-02")
def test_an_order_may_be_cut_by_several_checks_each_with_its_numbers(guard: Any) -> None:
    cut = guard(max_order_qty=90_000, max_position=0.5).judge(95_000)
    assert cut.order.qty == 45_454
    assert [rule.split(":")[0] for rule in cut.rule.split("; ")] == ["MAX_QTY", "MAX_POSITION"]


@pytest.mark.req("RSK-02")
def test_orders_of_one_step_count_together(guard: Any) -> None:
    guardian = guard(max_position=0.5)
    first, second, third, _ = guardian.propose(*(guardian.order(40_000) for _ in range(3)))
    assert (first.order.qty, second.order.qty) == (40_000, 5_454)
    assert verdict(third) == (DenyCode.MAX_POSITION, Decimal("93999.4"), 50_000)


@pytest.mark.req("RSK-02")
def test_the_part_that_closes_the_other_side_is_free(guard: Any) -> None:
    guardian = guard(max_position=0.5)
    guardian.hold(-40_000)
    assert guardian.judge(90_000).order.qty == 85_454


@pytest.mark.req("RSK-02")
def test_gross_exposure_counts_all_instruments_in_the_account_currency(guard: Any) -> None:
    guardian = guard(max_gross_exposure=1.0)
    yen = guardian.judge(60_000, instrument_id="USD-JPY.ECB", ref_px=Decimal(110))
    assert (yen.order.qty, yen.rule) == (60_000, "")
    assert guardian.judge(90_000).order.qty == 36_363  # 40,000 dollars are left


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize("working", ["buy", "sell"])
def test_working_orders_count_where_they_add_and_never_where_they_help(guard: Any, working: str) -> None:
    guardian = guard(max_position=0.5, max_order_notional=2.0)
    guardian.hold(20_000)
    guardian.judge(20_000 if working == "buy" else -20_000)
    assert guardian.judge(60_000).order.qty == (5_454 if working == "buy" else 25_454)


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"instrument_id": "XXX-USD.ECB"}, (DenyCode.UNKNOWN_INSTRUMENT, 0, 0)),
        ({"account": "somebody"}, (DenyCode.UNKNOWN_ACCOUNT, 0, 0)),
        ({"qty": Decimal(0)}, (DenyCode.QTY_INVALID, 0, 1)),
        ({"qty": Decimal(-5)}, (DenyCode.QTY_INVALID, -5, 1)),
        ({"qty": Decimal("0.5")}, (DenyCode.QTY_INVALID, Decimal("0.5"), 1)),
        ({"qty": Decimal("1E+40")}, (DenyCode.QTY_INVALID, Decimal("1E+40"), 1)),
        ({"qty": Decimal("9E+999999")}, (DenyCode.QTY_INVALID, Decimal("9E+999999"), 1)),
        ({"qty": Decimal("Infinity")}, (DenyCode.QTY_INVALID, Decimal("Infinity"), 1)),
        ({"ref_px": Decimal("Infinity")}, (DenyCode.PRICE_COLLAR, Decimal("Infinity"), 0)),
        ({"ref_px": Decimal("1.13")}, (DenyCode.PRICE_COLLAR, Decimal("1.13"), Decimal("1.1"))),
        ({"ref_px": Decimal("1.07")}, (DenyCode.PRICE_COLLAR, Decimal("1.07"), Decimal("1.1"))),
        ({"limit_px": Decimal(2)}, (DenyCode.PRICE_COLLAR, 2, Decimal("1.1"))),
        ({"stop_px": Decimal(2)}, (DenyCode.PRICE_COLLAR, 2, Decimal("1.1"))),
        ({"ref_px": Decimal("1.12")}, (1000, "")),
    ],
)
def test_what_cannot_be_right_is_denied(guard: Any, changes: dict[str, Any], refused: tuple[Any, ...]) -> None:
    assert verdict(guard().judge(**changes)) == refused


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize("held", [0, 5000])
@pytest.mark.parametrize("field", ["qty", "ref_px", "limit_px", "stop_px"])
def test_what_is_not_a_number_is_denied_even_of_an_order_that_shrinks(guard: Any, held: int, field: str) -> None:
    guardian = guard()
    if held:
        guardian.hold(held)
    denied = guardian.judge(-1000, **{field: Decimal("NaN")})
    assert isinstance(denied, OrderDenied)
    assert denied.observed.is_nan()


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize("kind", OrderType)
def test_an_order_without_a_price_that_its_type_needs_is_denied(guard: Any, kind: OrderType) -> None:
    guardian = guard()
    guardian.hold(5000)
    prices = dict.fromkeys(NEEDED_PRICES[kind], Decimal("1.1"))
    assert isinstance(guardian.judge(-1000, order_type=kind, **prices), OrderApproved)
    for missing in prices:
        denied = guardian.judge(-1000, order_type=kind, **{**prices, missing: None})
        assert verdict(denied) == (DenyCode.NO_PRICE, 0, 0)


@pytest.mark.req("RSK-02")
def test_an_id_is_approved_once_and_a_denied_one_may_come_again(guard: Any) -> None:
    guardian = guard()
    assert isinstance(guardian.judge(account="somebody", client_order_id="same"), OrderDenied)
    assert isinstance(guardian.judge(client_order_id="same"), OrderApproved)
    assert verdict(guardian.judge(client_order_id="same")) == (DenyCode.DUPLICATE_ID, 0, 0)


@pytest.mark.req("RSK-02")
def test_ids_are_remembered_within_bounds(guard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_guardian.flow.SEEN_IDS_KEPT", 2)
    guardian = guard()
    for _ in range(4):
        guardian.judge(1)
    assert list(guardian.core.state.flow.seen) == ["o-3", "o-4"]


@pytest.mark.req("RSK-02")
def test_too_many_orders_in_a_minute_are_denied_until_the_minute_is_over(guard: Any) -> None:
    guardian = guard(orders_per_minute=2)
    assert [type(guardian.judge(10)) for _ in range(2)] == [OrderApproved] * 2
    assert verdict(guardian.judge(10)) == (DenyCode.ORDER_RATE, 3, 2)
    guardian.core.state.ts += NS_PER_MINUTE
    assert isinstance(guardian.judge(10), OrderApproved)


@pytest.mark.req("RSK-02")
def test_a_price_that_is_missing_or_stale_is_no_basis_for_new_risk(guard: Any) -> None:
    guardian = guard(stale_after_bars=2)
    del guardian.core.state.last_px[EUR_USD]
    assert verdict(guardian.judge()) == (DenyCode.NO_PRICE, 0, 0)
    guardian.hour(eur=1.1)
    guardian.hour(2)
    assert isinstance(guardian.judge(), OrderApproved)
    guardian.hour(1)
    assert verdict(guardian.judge()) == (DenyCode.STALE_PRICE, 3 * 3600, 2 * 3600)


@pytest.mark.req("RSK-02")
def test_a_price_that_rounds_to_nothing_is_no_price(guard: Any) -> None:
    guardian = guard()
    guardian.hour(eur=1e-9)
    assert verdict(guardian.judge(ref_px=Decimal(0))) == (DenyCode.NO_PRICE, 0, 0)


@pytest.mark.req("RSK-02")
def test_nothing_is_bought_with_an_equity_that_is_gone(guard: Any) -> None:
    guardian = guard()
    guardian.core.state.equity = Decimal(-1)
    assert verdict(guardian.judge()) == (DenyCode.NO_EQUITY, -1, 0)
    guardian.core.state.equity = None
    assert verdict(guardian.judge()) == (DenyCode.NO_EQUITY, 0, 0)


@pytest.mark.req("RSK-02")
def test_new_risk_waits_for_the_market_to_open(guard: Any) -> None:
    guardian = guard(session=Session.FX_WEEK)
    guardian.hold(5000)
    assert isinstance(guardian.judge(), OrderApproved)
    guardian.core.state.ts = SATURDAY
    assert verdict(guardian.judge()) == (DenyCode.MARKET_CLOSED, 0, 0)
    assert isinstance(guardian.judge(-1000), OrderApproved)


@pytest.mark.req("RSK-02")
def test_getting_out_is_possible_whatever_protects_against_new_risk(guard: Any) -> None:
    guardian = guard(orders_per_minute=1, max_order_qty=1, max_position=0.001, session=Session.FX_WEEK)
    guardian.hold(5000)
    guardian.judge(1)
    guardian.core.state.ts = SATURDAY
    guardian.core.state.equity = None
    assert guardian.judge(-5000, ref_px=Decimal(3)).order.qty == 5000


@pytest.mark.req("RSK-02")
def test_a_denied_order_leaves_no_trace_in_what_is_counted(guard: Any) -> None:
    guardian = guard(max_position=0.5)
    guardian.judge(40_000, account="somebody")
    assert guardian.judge(45_000).order.qty == 45_000


@pytest.mark.req("RSK-02")
def test_halted_and_the_shape_of_an_order_are_asked_before_anything_is_computed_from_it() -> None:
    names = [check.__name__ for check in CHECKS]
    assert names[:6] == [
        "halted",
        "known_instrument",
        "known_account",
        "duplicate_id",
        "valid_qty",
        "stated_prices",
    ]


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize("year", [2017, 2024])
def test_the_fx_week_is_sunday_to_friday_at_five_in_new_york_around_the_clock_changes(year: int) -> None:
    zone = ZoneInfo("America/New_York")
    start = datetime(year, 1, 1, tzinfo=UTC)
    for hour in range(366 * 24):
        local = (start + timedelta(hours=hour)).astimezone(zone)
        day, clock = local.weekday(), (local.hour, local.minute)
        opened = day in {0, 1, 2, 3} or (day == 4 and clock <= (17, 0)) or (day == 6 and clock >= (17, 0))
        ts = from_datetime(start) + hour * NS_PER_HOUR
        assert fx_week_open(ts) is opened, local
        if clock == (17, 0) and day in {4, 6}:  # the very boundary
            assert fx_week_open(ts + 1_000_000) is (day == 6)
            assert fx_week_open(ts - 1_000_000) is (day == 4)
