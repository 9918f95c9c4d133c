"""Positions held overnight cost or earn, in cash that everybody books alike."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages import ExecutionStep, FinancingCharged, InstrumentsDefined, MarketSlice, OrderFilled
from common.messages.market_data import Bar
from common.model.account import Account
from common.model.enums import AssetClass
from common.model.instrument import Instrument
from common.model.ledger import Ledger, Position
from common.model.time import NS_PER_DAY, NS_PER_HOUR, from_datetime
from common.testing.builders import EUR_USD, a
from execution.core import Execution
from execution.financing import Accrual, Due, Financing, FinancingSettings, Rate, is_ripe, settle
from execution.quiet import quiet
from execution.settings import Settings

EURO = a(Instrument, close_only=False)
SHARE = a(Instrument, instrument_id="AAPL.US", asset_class=AssetClass.EQUITY, base="AAPL")
PERPETUAL = a(Instrument, instrument_id="BTC-USDT-PERP.LOCAL", asset_class=AssetClass.CRYPTO, base="BTC", quote="USDT")
ALL = {one.instrument_id: one for one in (EURO, SHARE, PERPETUAL)}
RATES = {"EUR": (Rate(since=date(2017, 1, 1), rate=0.01),), "USD": (Rate(since=date(2017, 1, 1), rate=0.03),)}


def at(day: int, hour: int = 0, minute: int = 0) -> int:
    """January 2017; the 2nd is a Monday, and 17:00 in New York is 22:00 UTC."""
    return from_datetime(datetime(2017, 1, day, hour, minute, tzinfo=UTC))


def holding(instrument: Instrument, signed_qty: float) -> Ledger:
    name = instrument.instrument_id
    return Ledger(positions={name: Position(instrument_id=name, signed_qty=Decimal(signed_qty), avg_px=Decimal(1))})


def accrued(instrument: Instrument, signed_qty: float, start: int, end: int, **settings: Any) -> Due | None:
    """What is due of a position held from `start` to `end`, seen in one slice at each."""
    accrual, rule = Accrual(), Financing(FinancingSettings(**settings))
    for ts in (start, end):
        rule.accrue(accrual, ts, holding(instrument, signed_qty), ALL)
    return accrual.due.get(instrument.instrument_id)


def units(*of: Any, **settings: Any) -> float:
    due = accrued(*of, **settings)
    return float(due.units) if due is not None else 0.0


@pytest.mark.req("EXE-04")
@pytest.mark.parametrize(("day", "days"), [(2, 1), (3, 1), (4, 3), (5, 1), (6, 1), (7, 0), (8, 0)])
def test_wednesdays_roll_counts_three_days_and_the_weekends_none(day: int, days: int) -> None:
    earned = units(EURO, 365_000, at(day, 21, 59), at(day, 22), rates=RATES, markup=0.0)
    assert earned == pytest.approx(-0.02 * 1000 * days)  # euros earn 1 %, the dollars borrowed for them cost 3 %


@pytest.mark.req("EXE-04")
def test_a_week_costs_seven_days_whatever_slices_it_comes_in() -> None:
    whole = units(EURO, 1000, at(2), at(9))
    rule, accrual = Financing(FinancingSettings()), Accrual()
    for hour in range(7 * 24 + 1):
        rule.accrue(accrual, at(2) + hour * NS_PER_HOUR, holding(EURO, 1000), ALL)
    assert whole == float(accrual.due[EUR_USD].units) == pytest.approx(-1000 * 0.005 * 7 / 365)


@pytest.mark.req("EXE-04")
def test_the_roll_follows_new_yorks_daylight_saving() -> None:
    summer = from_datetime(datetime(2017, 7, 3, 21, tzinfo=UTC))
    assert units(EURO, 1000, summer - 1, summer) < 0
    assert units(EURO, 1000, at(2, 21) - 1, at(2, 21)) == 0


@pytest.mark.req("EXE-04")
def test_the_markup_is_paid_long_and_short_and_the_difference_changes_sides() -> None:
    long, short = (units(EURO, qty, at(2), at(3), rates=RATES, markup=0.01) for qty in (365_000, -365_000))
    assert (long, short) == (pytest.approx(-30.0), pytest.approx(10.0))


@pytest.mark.req("EXE-04")
def test_a_pair_of_which_one_rate_is_missing_pays_the_markup_alone() -> None:
    assert units(EURO, -365_000, at(2), at(3), rates={"USD": RATES["USD"]}) == pytest.approx(-5.0)


@pytest.mark.req("EXE-04")
def test_a_rate_holds_from_its_day_on() -> None:
    rates = {"EUR": (Rate(since=date(2017, 1, 3), rate=0.0365),), "USD": (Rate(since=date(2016, 1, 1), rate=0.0),)}
    by_day = [units(EURO, 10_000, at(day), at(day + 1), rates=rates, markup=0.0) for day in (2, 3)]
    assert by_day == [0.0, pytest.approx(1.0)]


@pytest.mark.req("EXE-04")
def test_shares_bought_are_free_and_those_sold_short_are_borrowed() -> None:
    assert units(SHARE, 100, at(2), at(9)) == 0
    assert units(SHARE, -36_500, at(2), at(9), borrow_rate=0.01) == pytest.approx(-7.0)


@pytest.mark.req("EXE-04")
def test_who_is_long_a_perpetual_funds_who_is_short_three_times_a_day() -> None:
    due = accrued(PERPETUAL, 2, at(7), at(8))
    assert due is not None
    assert (due.rolls, due.units) == (3, Decimal("-0.0006"))
    assert units(PERPETUAL, -2, at(7), at(8)) == pytest.approx(0.0006)


@pytest.mark.req("EXE-04")
def test_what_accrued_is_booked_at_the_first_price_of_the_next_day_and_in_no_slice_before() -> None:
    accrual, rule = Accrual(), Financing(FinancingSettings())
    rule.accrue(accrual, at(2, 21), holding(EURO, 1000), ALL)
    rule.accrue(accrual, at(2, 23), holding(EURO, 1000), ALL)
    bar = a(Bar, close=1.05)
    assert not is_ripe(accrual, at(2, 23))
    assert not list(settle(accrual, MarketSlice(ts_event=at(2, 23), book="fx", step=1, bars=(bar,)), ALL))
    assert is_ripe(accrual, at(3))
    assert not list(settle(accrual, MarketSlice(ts_event=at(3), book="fx", step=2), ALL))
    (charge,) = settle(accrual, MarketSlice(ts_event=at(3, 1), book="fx", step=3, bars=(bar,)), ALL)
    assert charge.amount == pytest.approx(
        Decimal(-1000) * Decimal("0.005") / 365 * Decimal("1.05"), abs=Decimal("1e-6")
    )
    assert not accrual.due


Slices = Sequence[tuple[int, float, int]]
courses = st.lists(st.tuples(st.integers(1, 40), st.floats(0.9, 1.2), st.integers(-3, 3)), min_size=20, max_size=80)


@pytest.mark.req("EXE-04")
@given(courses)
def test_cash_is_what_was_paid_in_and_what_was_said_of_fills_and_financing(desk: Any, course: Slices) -> None:
    """Property: whoever adds up the messages has execution's cash, to the last digit."""
    one = desk(taker_bps=0.2)
    cash, step = {"USD": Account().starting_cash}, 1
    for hours, px, lots in course:
        said = one.approve(lots * 1000, client_order_id=f"o{step}") if lots else []
        one.step += hours - 1
        step += 1
        for message in [*said, *one.trade(round(px, 5))]:
            if isinstance(message, OrderFilled):
                paid = message.signed_qty * message.last_px + message.commission
                cash["USD"] -= paid
            elif isinstance(message, FinancingCharged):
                cash[message.currency] += message.amount
            elif isinstance(message, ExecutionStep):
                assert message.cash == cash


@pytest.mark.req("EXE-04")
def test_financing_is_said_before_the_step_that_holds_it(desk: Any) -> None:
    one = desk()
    one.approve(1000)
    one.trade(1.1)
    said = [message for _ in range(30) for message in one.trade(1.1)]
    places = [i for i, message in enumerate(said) if isinstance(message, FinancingCharged)]
    assert places
    assert all(isinstance(said[i + 1], ExecutionStep) for i in places)


@pytest.mark.req("EXE-04")
def test_nothing_is_charged_where_financing_is_off(desk: Any) -> None:
    one = desk(financing=FinancingSettings(enabled=False))
    one.approve(1000)
    said = [message for _ in range(60) for message in one.trade(1.1)]
    assert not [message for message in said if isinstance(message, FinancingCharged)]


@pytest.mark.req("EXE-04")
def test_a_position_that_waits_for_the_price_of_its_interest_is_not_quiet() -> None:
    core = Execution(Settings(), Account())
    core.handle(a(InstrumentsDefined, instruments=(EURO,)))
    core.state.ledger.positions.update(holding(EURO, 1000).positions)
    for hour in (20, 23):
        core.handle(MarketSlice(ts_event=at(2, hour), book="fx", step=hour))
    assert quiet(core.state, Settings())
    core.handle(MarketSlice(ts_event=at(3, 1), book="fx", step=24))
    assert not quiet(core.state, Settings())


@pytest.mark.req("EXE-04")
def test_accruals_survive_a_restart() -> None:
    accrual, rule = Accrual(), Financing(FinancingSettings())
    rule.accrue(accrual, at(2), holding(EURO, 1000), ALL)
    rule.accrue(accrual, at(2, 23), holding(EURO, 1000), ALL)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(accrual), type=Accrual) == accrual
    assert accrual.due[EUR_USD].ripe_ns % NS_PER_DAY == 0
