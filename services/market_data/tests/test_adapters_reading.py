"""Reading what a venue sends is total: whatever it is, it is an event or counted, and its time is exact."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_data.adapters import alpaca, oanda
from market_data.adapters.timestamps import rfc3339_ns
from market_data.live.connection import FeedEvent, Heartbeat, Malformed, QuoteSeen, TradeSeen

pytestmark = pytest.mark.req("MKT-01")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
alpaca_items = st.fixed_dictionaries(
    {"T": st.sampled_from(["q", "t", "b", "subscription"])},
    optional=dict.fromkeys(("S", "bp", "ap", "bs", "as", "t", "p", "s", "i"), json_values),
)
oanda_lines = st.fixed_dictionaries(
    {"type": st.sampled_from(["PRICE", "HEARTBEAT", "NEWS"])},
    optional=dict.fromkeys(("instrument", "time", "bids", "asks", "tradeable"), json_values),
)


def events(said: Iterator[FeedEvent]) -> list[FeedEvent]:
    return list(said)


@given(
    st.binary(max_size=60) | st.builds(lambda items: json.dumps(items).encode(), st.lists(alpaca_items | json_values))
)
def test_whatever_alpaca_sends_is_read_or_counted(message: bytes) -> None:
    for event in events(alpaca.translate(message, 1)):
        assert isinstance(event, QuoteSeen | TradeSeen | Malformed)


@given(st.binary(max_size=60) | st.builds(lambda line: json.dumps(line).encode(), oanda_lines | json_values))
def test_whatever_oanda_sends_is_read_or_counted(line: bytes) -> None:
    assert isinstance(oanda.translate(line, 1), QuoteSeen | Heartbeat | Malformed)


def test_brackets_without_end_are_counted() -> None:
    deep = b"[" * 100_000
    assert [type(event) for event in alpaca.translate(deep, 1)] == [Malformed]
    assert isinstance(oanda.translate(deep, 1), Malformed)


@given(st.datetimes(timezones=st.just(UTC)), st.integers(0, 999))
def test_times_are_exact_to_the_nanosecond(moment: datetime, ns: int) -> None:
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // datetime.resolution * 1000 + ns
    assert (
        rfc3339_ns(f"{moment.replace(microsecond=0, tzinfo=None).isoformat()}.{moment.microsecond:06d}{ns:03d}Z")
        == expected
    )


@pytest.mark.parametrize("text", ["2021-02-22", "now", "2021-02-22T15:51:45", "2021-13-22T15:51:45Z", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|month"):
        rfc3339_ns(text)
