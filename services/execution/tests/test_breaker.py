"""The circuit breaker and the rate limit, at any time and in any order of events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.breaker import TRANSITIONS, Breaker, Circuit, Event
from execution.rate_limit import RateLimit

pytestmark = pytest.mark.req("EXE-02")


def breaker() -> Breaker:
    return Breaker(max_failures=3, cool_down_s=1.0, max_cool_down_s=5.0)


def tripped(now: float = 0.0) -> Breaker:
    one = breaker()
    for _ in range(3):
        one.failed(now)
    return one


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not_let_them_add_up():
    one = breaker()
    for _ in range(5):
        one.failed(0.0)
        one.failed(0.0)
        one.succeeded()
    assert one.passes()
    assert not tripped().passes()


def test_after_the_pause_one_probe_goes_out_and_its_success_closes_it():
    one = tripped()
    assert not one.probe(0.9)
    assert one.opens_in(0.25) == 0.75
    assert one.probe(1.0)
    assert not one.probe(1.0), "one probe is enough"
    assert not one.passes()
    one.succeeded()
    assert one.passes()
    assert one.failures == 0


def test_the_pause_doubles_with_every_failed_probe_up_to_its_bound_and_starts_anew_after_a_success():
    one, now, pauses = tripped(), 0.0, []
    for _ in range(4):
        pauses.append(one.opens_in(now))
        now += one.opens_in(now)
        assert one.probe(now)
        one.failed(now)
    assert pauses == [1.0, 2.0, 4.0, 5.0]
    now += one.opens_in(now)
    assert one.probe(now)
    one.succeeded()
    for _ in range(3):
        one.failed(now)
    assert one.opens_in(now) == 1.0


def test_what_was_under_way_when_it_opened_does_not_close_it():
    one = tripped()
    one.succeeded()
    assert one.circuit is Circuit.OPEN


def test_every_event_has_an_answer_in_every_state_but_a_probe_where_none_is_due():
    missing = {(circuit, event) for circuit in Circuit for event in Event} - set(TRANSITIONS)
    assert missing == {(Circuit.CLOSED, Event.PROBED), (Circuit.HALF_OPEN, Event.PROBED)}


@given(st.lists(st.sampled_from(["fail", "succeed", "probe"]), max_size=60), st.floats(0.01, 2))
def test_it_never_passes_after_so_many_failures_without_a_probe_that_succeeded(events: list[str], every_s: float):
    one, now, row, suspect = breaker(), 0.0, 0, False
    for event in events:
        now += every_s
        if event == "fail":
            one.failed(now)
            row += 1
            suspect = suspect or row >= 3
        elif event == "probe":
            one.probe(now)
        else:
            probing = one.circuit is Circuit.HALF_OPEN
            one.succeeded()
            suspect, row = (False, 0) if probing or not suspect else (suspect, row)
        assert one.passes() is not suspect


def test_a_burst_passes_and_then_the_rate_decides():
    limit = RateLimit(per_s=10, burst=3)
    assert [limit.take(5.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limit.take(5.0) == pytest.approx(0.1)
    assert limit.take(5.1) == 0.0


def test_the_reserve_is_for_what_matters_more():
    limit = RateLimit(per_s=10, burst=4)
    taken = [limit.take(0.0, reserve=2) for _ in range(3)]
    assert taken[:2] == [0.0, 0.0]
    assert taken[2] > 0
    assert limit.take(0.0) == 0.0


def test_a_pause_the_venue_demands_holds_for_everything():
    limit = RateLimit(per_s=1000, burst=100)
    limit.pause(0.0, 2.0)
    limit.pause(0.0, 1.0)
    assert limit.take(1.5) == 0.5
    assert limit.take(2.0) == 0.0


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_never_more_than_burst_and_rate_allow(gaps: list[float]):
    limit, now, taken = RateLimit(per_s=10, burst=5), 0.0, 0
    for gap in gaps:
        now += gap
        taken += limit.take(now) == 0.0
    assert taken <= 5 + 10 * now + 1e-6


@given(st.floats(0, 0.99))
def test_who_waits_as_long_as_told_is_let_in(tokens: float):
    limit = RateLimit(per_s=3, burst=5, tokens=tokens)
    wait = limit.take(0.0)
    assert limit.take(wait + 1e-9) == 0.0


@given(st.integers(1, 200), st.floats(0.5, 100), st.integers(2, 50))
def test_who_comes_when_told_comes_after_all_and_one_after_the_other(many: int, per_s: float, burst: int):
    limit = RateLimit(per_s=per_s, burst=burst)
    waits = [wait for _ in range(many) if (wait := limit.take(0.0, reserve=1.0)) > 0]
    assert all(limit.take(wait + 1e-6, reserve=1.0) == 0.0 for wait in waits)
    assert waits == pytest.approx([(number + 1) / per_s for number in range(max(many - burst + 1, 0))])


def test_what_matters_more_does_not_queue_behind_what_matters_less():
    limit = RateLimit(per_s=10, burst=4)
    assert [limit.take(0.0, reserve=4) > 0 for _ in range(50)] == [True] * 50
    assert [limit.take(0.0) for _ in range(4)] == [0.0] * 4
    assert limit.take(0.0) == pytest.approx(0.1)
