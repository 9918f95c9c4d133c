"""No row is believed that one of the checks refuses, and the first that does names the reason."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages.market_data import QuarantineReason
from common.model.time import NS_PER_MINUTE
from market_data.feed import RawBar, RawTick
from market_data.state import Seen
from market_data.validation import CHECKS, Rules, _plain, bar_of_tick, refuse

NOW = 100 * NS_PER_MINUTE
RULES = Rules(max_jump=0.10, jump_moves=20.0)
GOOD = RawBar("EUR-USD.TEST", NOW, 1.10, 1.12, 1.09, 1.11, 5.0, 0.0002, 0.0001)
NAN, INF = math.nan, math.inf


def seen(**changes: float) -> Seen:
    return Seen(**{"ts": NOW - NS_PER_MINUTE, "close": 1.10, "mean_move": 0.0001, "moves": 50} | changes)


def reason(row: RawBar, before: Seen | None = None, now: int = NOW, rules: Rules = RULES) -> QuarantineReason | None:
    refused = refuse(row, before or seen(), now, rules)
    return refused.reason if refused else None


@pytest.mark.req("MKT-03")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"spread_open": None, "spread_close": None}, None),
        ({"spread_open": 0.0}, None),
        ({"problem": "close='1.1O' is not a number"}, "UNPARSEABLE"),
        ({"close": NAN}, "MISSING_PRICE"),
        ({"open": INF, "high": INF}, "MISSING_PRICE"),
        ({"low": 0.0}, "NOT_POSITIVE"),
        ({"open": -1.10}, "NOT_POSITIVE"),
        ({"volume": -1.0}, "NOT_POSITIVE"),
        ({"high": 1.10}, "OHLC_INCONSISTENT"),
        ({"low": 1.105}, "OHLC_INCONSISTENT"),
        ({"spread_close": -0.0001}, "CROSSED"),
        ({"spread_open": -0.0001}, "CROSSED"),
        ({"ts": NOW - NS_PER_MINUTE}, "DUPLICATE"),
        ({"ts": NOW - 2 * NS_PER_MINUTE}, "OUT_OF_ORDER"),
        ({"ts": NOW + NS_PER_MINUTE}, "OUT_OF_ORDER"),
        ({"high": 1.3}, "OUTLIER"),
        ({"low": 0.011}, "OUTLIER"),
        ({"open": 1.30, "high": 1.32, "low": 1.29, "close": 1.31}, "OUTLIER"),
    ],
)
def test_a_row_is_refused_for_what_is_wrong_with_it(changes: dict[str, object], expected: str | None) -> None:
    assert reason(msgspec.structs.replace(GOOD, **changes)) == expected


@pytest.mark.req("MKT-03")
def test_a_refusal_shows_the_values() -> None:
    refused = refuse(msgspec.structs.replace(GOOD, high=1.3), seen(), NOW, RULES)
    assert refused is not None
    assert refused.detail == "open=1.1 high=1.3 low=1.09 close=1.11 after close=1.1, believed up to a ratio of 1.1"


@pytest.mark.req("MKT-03")
def test_a_jump_costs_its_first_row_and_the_next_at_the_new_level_confirms_it() -> None:
    before = seen(close=645.57, mean_move=0.012)
    split = RawBar("AAPL.US", NOW, 92.7, 93.9, 91.8, 93.7)
    assert reason(split, before) is QuarantineReason.OUTLIER
    day_after = RawBar("AAPL.US", NOW + NS_PER_MINUTE, 94.7, 95.1, 93.6, 94.3)
    assert reason(day_after, before, NOW + NS_PER_MINUTE) is None
    assert before.close == 94.3
    assert before.mean_move < 0.013  # the split itself was no move


@pytest.mark.req("MKT-03")
def test_a_bad_print_confirms_nothing() -> None:
    before = seen(close=390.08, mean_move=0.019)
    bad = RawBar("GOOG.US", NOW, 395.98, 489.36, 0.01, 294.57)
    assert reason(bad, before) is QuarantineReason.OUTLIER
    assert reason(RawBar("GOOG.US", NOW + 1, 411.15, 416.97, 403.11, 412.25), before, NOW + 1) is None
    assert before.suspect == 0.0


@pytest.mark.req("MKT-03")
def test_what_is_far_depends_on_how_much_the_instrument_moves() -> None:
    row = RawBar("X.US", NOW, 1.30, 1.32, 1.29, 1.31)
    assert reason(row, seen(mean_move=0.001)) is QuarantineReason.OUTLIER
    assert reason(row, seen(mean_move=0.02)) is None


@pytest.mark.req("MKT-03")
def test_all_rows_of_a_step_that_comes_too_late_are_out_of_order() -> None:
    assert reason(GOOD, now=0) is QuarantineReason.OUT_OF_ORDER


@pytest.mark.req("MKT-03")
@pytest.mark.parametrize(
    ("tick", "expected"),
    [
        (RawTick("E", NOW - 5, 1.1000, 1.1002), None),
        (RawTick("E", NOW - 5, None, 1.1001, volume=3.0), None),
        (RawTick("E", NOW - NS_PER_MINUTE, 1.1000, 1.1002), "OUT_OF_ORDER"),
        (RawTick("E", NOW - 5, 1.1003, 1.1002), "CROSSED"),
        (RawTick("E", NOW - 5, 0.0, 1.1002), "NOT_POSITIVE"),
        (RawTick("E", NOW - 5, NAN, 1.1002), "MISSING_PRICE"),
        (RawTick("E", NOW - 5, 1.5, 1.6), "OUTLIER"),
    ],
)
def test_a_tick_is_judged_as_a_bar_without_length(tick: RawTick, expected: str | None) -> None:
    rules = Rules(0.10, 20.0, NS_PER_MINUTE, ticks=True)
    assert reason(bar_of_tick(tick), rules=rules) == expected


@pytest.mark.req("MKT-03")
def test_ticks_may_share_an_instant() -> None:
    rules, before = Rules(0.10, 20.0, NS_PER_MINUTE, ticks=True), seen()
    tick = bar_of_tick(RawTick("E", NOW - 5, 1.1000, 1.1002))
    assert [reason(tick, before, rules=rules), reason(tick, before, rules=rules)] == [None, None]


prices = st.sampled_from([1.0, 1.05, 1.1, 1.15, 1.2, 1.3, 0.9, 0.0, -1.0, NAN, INF])
spreads = st.sampled_from([None, 0.0, 0.1, -0.1, NAN])
rows = st.builds(
    RawBar,
    st.just("EUR-USD.TEST"),
    st.sampled_from([NOW, NOW - 1, NOW - NS_PER_MINUTE, NOW + 1]),
    prices,
    prices,
    prices,
    prices,
    st.sampled_from([0.0, 1.0, -1.0]),
    spreads,
    spreads,
    st.sampled_from(["", "", "", "garbage"]),
)


@pytest.mark.req("MKT-03")
@given(rows, st.sampled_from([0.0, 1.0, 1.1, 5.0]), st.sampled_from([1, NS_PER_MINUTE]), st.sampled_from([0, NOW]))
def test_the_short_cut_lets_nothing_pass_that_the_table_refuses(row: RawBar, close: float, span: int, now: int) -> None:
    before, rules = seen(close=close), Rules(0.10, 20.0, span, ticks=span > 1)
    if _plain(row, before, now, rules):
        assert [why for why, check in CHECKS if check(row, before, now, rules)] == []
