"""Fine bars go after some days of data time, at the same ones whoever asks and however often."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError
from common.model.time import NS_PER_DAY, NS_PER_HOUR
from common.runtime.settings import section
from common.testing.builders import T0
from recorder.hot_window import EVERY_NS, LEAST, HotWindow, Trim
from recorder.settings import Settings

pytestmark = pytest.mark.req("MKT-06")
MIDNIGHT = T0 - T0 % NS_PER_DAY


def test_every_six_hours_of_data_time_what_is_older_than_the_window_goes() -> None:
    window = HotWindow(7)
    first = window.due(MIDNIGHT)
    assert first == Trim(MIDNIGHT - 7 * NS_PER_DAY, LEAST)
    window.trimmed(first, 10)
    assert window.due(MIDNIGHT + 6 * NS_PER_HOUR - 1) is None
    assert window.due(MIDNIGHT + 6 * NS_PER_HOUR) == Trim(MIDNIGHT + 6 * NS_PER_HOUR - 7 * NS_PER_DAY, LEAST)


def test_what_does_not_fit_into_one_trim_goes_with_the_next_and_twice_what_came_meanwhile() -> None:
    window = HotWindow(7)
    trim = window.due(MIDNIGHT)
    assert trim is not None
    window.trimmed(trim, LEAST)
    assert window.due(MIDNIGHT) == trim
    window.recorded(LEAST)
    assert window.due(MIDNIGHT) == Trim(trim.until_ns, 2 * LEAST)
    window.trimmed(Trim(trim.until_ns, 2 * LEAST), 2 * LEAST - 1)
    assert window.due(MIDNIGHT) is None


def test_nothing_goes_before_the_first_slice_or_with_a_window_without_end() -> None:
    assert HotWindow(7).due(0) is None
    assert HotWindow(0).due(MIDNIGHT) is None


@given(st.lists(st.integers(0, 90 * NS_PER_HOUR), min_size=1, max_size=20), st.integers(0, 19))
def test_a_recorder_that_starts_over_has_the_same_to_trim_as_one_that_never_died(steps: list[int], at: int) -> None:
    going, fresh, ts = HotWindow(3), HotWindow(3), MIDNIGHT
    left = {"going": 0, "fresh": 0}
    for place, step in enumerate(steps):
        ts += step
        fresh = HotWindow(3) if place == at else fresh
        for name, window in (("going", going), ("fresh", fresh)):
            if trim := window.due(ts):
                left[name] = max(left[name], trim.until_ns)
                window.trimmed(trim, 0)
    assert left["going"] == left["fresh"] == ts // EVERY_NS * EVERY_NS - 3 * NS_PER_DAY


def test_the_default_holds_seven_days_of_a_market_that_closes_at_weekends() -> None:
    """168 hours before an hour after the opening on a Sunday evening: two weekends of 48 hours lie between, and a holiday may."""
    days = section({}, "recorder", Settings).hot_days
    assert days * 24 >= 168 + 2 * 49 + 20
    with pytest.raises(ConfigError, match=r"recorder\.hot_days = -1"):
        section({"recorder": {"hot_days": -1}}, "recorder", Settings)
    assert msgspec.to_builtins(Settings()) == {"hot_days": days}
