"""Around scheduled events nothing new is risked, and what closes a position always passes (REG-12)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.messages import EventsScheduled, OrderApproved, OrderDenied
from common.messages.market_data import EconomicEvent, Impact
from common.model.enums import DenyCode
from common.model.time import NS_PER_DAY, NS_PER_MINUTE
from common.runtime import snapshots
from common.testing.builders import T0
from risk_guardian.events import EventSettings, learn

HOUR_AND_A_HALF = EventSettings(before_minutes=90, after_minutes=60)
USD_JPY = {"instrument_id": "USD-JPY.ECB", "ref_px": Decimal(110)}


def event(ts: int, currency: str = "EUR", impact: Impact = Impact.HIGH) -> EconomicEvent:
    return EconomicEvent(ts_event=ts, currency=currency, impact=impact, name="Rate decision")


def scheduled(*events: EconomicEvent, ts: int = T0) -> EventsScheduled:
    return EventsScheduled(ts_event=ts, book="fx", events=events)


def at(guard: Any, minutes: float, chosen: EventSettings = HOUR_AND_A_HALF, **of: Any) -> Any:
    """A guardian with one event so many minutes ahead of its last slice."""
    guardian = guard(settings={"events": chosen})
    guardian.core.handle(scheduled(event(guardian.ts + int(minutes * NS_PER_MINUTE), **of)))
    return guardian


@pytest.mark.req("REG-12", "RSK-02")
@pytest.mark.parametrize(
    ("minutes", "observed", "limit"),
    [(90, 90, 90), (30.5, Decimal("30.5"), 90), (0, 0, 60), (-20, -20, 60), (-60, -60, 60)],
)
def test_new_risk_near_an_event_is_denied_with_the_minutes_to_it(
    guard: Any, minutes: float, observed: Decimal, limit: int
) -> None:
    denied = at(guard, minutes).judge(1000)
    assert isinstance(denied, OrderDenied)
    assert (denied.code, denied.observed, denied.limit) == (DenyCode.EVENT_BLACKOUT, observed, limit)


@pytest.mark.req("REG-12")
@pytest.mark.parametrize("minutes", [90.01, -60.01])
def test_outside_its_span_an_event_stops_nothing(guard: Any, minutes: float) -> None:
    assert isinstance(at(guard, minutes).judge(1000), OrderApproved)


@pytest.mark.req("REG-12")
@pytest.mark.parametrize(
    ("currency", "impact", "euro", "yen"),
    [
        ("EUR", Impact.HIGH, False, True),
        ("USD", Impact.HIGH, False, False),
        ("JPY", Impact.HIGH, True, False),
        ("ALL", Impact.HIGH, False, False),
        ("CHF", Impact.HIGH, True, True),
        ("USD", Impact.MEDIUM, True, True),
    ],
)
def test_an_event_concerns_the_pairs_of_its_currency_and_only_from_its_impact_on(
    guard: Any, currency: str, impact: Impact, euro: bool, yen: bool
) -> None:
    guardian = at(guard, 10, currency=currency, impact=impact)
    passed = [isinstance(guardian.judge(1000, **of), OrderApproved) for of in ({}, USD_JPY)]
    assert passed == [euro, yen]


@pytest.mark.req("REG-12", "RSK-02")
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(held=st.sampled_from([-5000, 5000]), qty=st.integers(1, 12_000))
def test_what_closes_a_position_passes_and_not_one_unit_more(guard: Any, held: int, qty: int) -> None:
    guardian = at(guard, 10)
    guardian.hold(held)
    said = guardian.judge(-qty if held > 0 else qty)
    assert isinstance(said, OrderApproved)
    assert said.order.qty == min(qty, 5000)
    assert isinstance(guardian.judge(qty if held > 0 else -qty), OrderDenied)


@pytest.mark.req("REG-12")
def test_nothing_is_kept_or_denied_while_the_blackout_is_off(guard: Any) -> None:
    guardian = at(guard, 0, EventSettings())
    assert isinstance(guardian.judge(1000), OrderApproved)
    assert guardian.core.state.events == {}


@pytest.mark.req("REG-12")
def test_a_restored_guardian_knows_the_events_of_before(guard: Any) -> None:
    before, after = at(guard, 30), guard(settings={"events": HOUR_AND_A_HALF})
    snapshots.restore(after.core, snapshots.encode(before.core, 1, "mark"), "mark")
    assert after.judge(1000) == before.judge(1000)


@pytest.mark.req("REG-12")
def test_a_new_calendar_replaces_what_lay_ahead_and_keeps_what_is_hardly_over() -> None:
    known: dict[str, list[int]] = {}
    minute, of = NS_PER_MINUTE, HOUR_AND_A_HALF
    learn(known, of, scheduled(event(T0 + 10 * minute), event(T0 + 500 * minute), ts=T0))
    assert known == {"EUR": [T0 + 10 * minute, T0 + 500 * minute]}
    learn(known, of, scheduled(event(T0 + 600 * minute), ts=T0 + 20 * minute))
    assert known == {"EUR": [T0 + 10 * minute, T0 + 600 * minute]}
    learn(known, of, scheduled(ts=T0 + 71 * minute))
    assert known == {}


@pytest.mark.req("REG-12")
@given(st.lists(st.integers(0, 60 * 24 * 30), max_size=60))
def test_what_is_kept_is_bounded_by_the_week_ahead_however_long_the_run(minutes: list[int]) -> None:
    """Property: after every day's message only events that can still matter are there, in order, each once."""
    known: dict[str, list[int]] = {}
    times = sorted(T0 + minute * NS_PER_MINUTE for minute in minutes)
    for day in range(30):
        now = T0 + day * NS_PER_DAY
        ahead = [event(ts) for ts in times if now <= ts < now + 7 * NS_PER_DAY]
        learn(known, HOUR_AND_A_HALF, scheduled(*ahead, ts=now))
        since = now - 60 * NS_PER_MINUTE
        assert known.get("EUR", []) == sorted({ts for ts in times if since <= ts < now + 7 * NS_PER_DAY})
