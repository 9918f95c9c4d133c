"""What is planted around events is found, what is not planted is not, and other days are those without events (REG-12)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.errors import DataError
from common.messages.market_data import EconomicEvent, Impact
from common.model.instrument import Instrument
from common.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, Timeframe
from common.testing.builders import a
from market_data.feed import RawBar, RawTick
from market_data.feeds.column_feed import ColumnFeed
from market_data.feeds.rows import Rows
from market_data.settings import Settings
from research.event_windows import Measure, Phase, Span, against_other_days, near, sums
from research.events import Behaviour, behaviour
from research.fast.market_bars import Timed

MONDAY = 17_168 * NS_PER_DAY  # 2 January 2017
M15 = Timeframe.M15
AT = 13 * NS_PER_HOUR + 30 * NS_PER_MINUTE
EVENT_DAYS = range(1, 170, 3)
EUR = a(Instrument)
YEN = a(Instrument, instrument_id="USD-JPY.ECB", base="USD", quote="JPY")


def event(day: int, impact: Impact = Impact.HIGH, currency: str = "USD", at: int = AT) -> EconomicEvent:
    return EconomicEvent(ts_event=MONDAY + day * NS_PER_DAY + at, currency=currency, impact=impact, name="Payrolls")


def bars(seed: int, *, louder: float = 1.0, wider: float = 1.0, gain: float = 0.0, days: int = 170) -> Rows:
    """Weekdays of quarter hours; in the hour after every event prices move `louder` and `gain` in all, in the hour before it spreads
    are `wider`.
    """
    rng = np.random.default_rng(seed)
    ts = MONDAY + M15.ns * np.arange(1, days * 96 + 1)
    day = (ts - 1 - MONDAY) // NS_PER_DAY
    ts, day = ts[day % 7 < 5], day[day % 7 < 5]
    since = (ts - MONDAY) % NS_PER_DAY - AT
    published = np.isin(day, list(EVENT_DAYS))
    after = published & (since > 0) & (since <= NS_PER_HOUR)
    before = published & (since > -NS_PER_HOUR) & (since <= 0)
    width = 0.0005 * np.where(after, louder, 1.0)
    moves = rng.normal(0, 1, ts.size) * width + np.where(after, gain / 4, 0.0)
    close = 1.1 * np.exp(np.cumsum(moves))
    opened = np.concatenate([[1.1], close[:-1]])
    high = np.maximum(opened, close) * (1 + rng.random(ts.size) * width)
    low = np.minimum(opened, close) * (1 - rng.random(ts.size) * width)
    spread = 0.0001 * np.exp(rng.normal(0, 0.1, ts.size)) * np.where(before, wider, 1.0)
    values = {"open": opened, "high": high, "low": low, "close": close, "spread_open": spread, "spread_close": spread}
    return Rows(RawBar, ts, ts, values)


def looked(events: list[EconomicEvent], *rows: Rows, **changes: Any) -> dict[tuple[str, Phase, Measure], Behaviour]:
    instruments = (EUR, YEN)[: len(rows)]
    feed = ColumnFeed(instruments, (M15,) * len(rows), (), rows)
    found = behaviour(feed, Settings(), events, **changes)
    return {(row.currency, row.phase, row.measure): row for row in found.rows}


EVENTS = [event(day) for day in EVENT_DAYS]


@pytest.mark.req("REG-12")
def test_volatility_spread_and_drift_that_were_planted_are_found_on_their_side_of_the_event() -> None:
    found = looked(EVENTS, bars(1, louder=3.0, wider=2.0, gain=-0.004))
    volatility, spread = found["USD", Phase.AFTER, Measure.VOLATILITY], found["USD", Phase.BEFORE, Measure.SPREAD]
    drift = found["USD", Phase.AFTER, Measure.DRIFT]
    assert volatility.events == spread.events == len([day for day in EVENT_DAYS if day % 7 < 5]) == 41
    for row, truth in ((volatility, 3.3), (spread, 2.0), (drift, 0.004)):  # the planted drift adds to the ranges
        assert row.low is not None
        assert row.high is not None
        assert row.low < truth < row.high
        assert row.high - row.low < 0.5 * truth
        assert row.p_corrected is not None
        assert row.p_corrected < 0.01
    for nothing in (found["USD", Phase.BEFORE, Measure.VOLATILITY], found["USD", Phase.AFTER, Measure.SPREAD]):
        assert nothing.low is not None
        assert nothing.high is not None
        assert nothing.low < 1.0 < nothing.high
        assert nothing.high - nothing.low < 0.2


@pytest.mark.req("REG-12")
def test_where_events_do_nothing_hardly_anything_is_found() -> None:
    judged = [
        row.p_value
        for seed in range(12)
        for row in looked(EVENTS, bars(100 + seed), seed=seed).values()
        if row.currency == "USD" and row.p_value is not None
    ]
    assert len(judged) == 12 * 6
    assert (
        sum(p < 0.05 for p in judged) <= 10
    )  # 3.6 expected; 11 or more have a chance of 0.0013 if they were independent


@pytest.mark.req("REG-12")
def test_an_instrument_both_of_whose_currencies_publish_at_once_counts_once_among_all() -> None:
    both = [*EVENTS, *(event(day, currency="EUR") for day in EVENT_DAYS)]
    found = looked(both, bars(1, louder=3.0), bars(2))
    for phase in Phase:
        dollar, every = found["USD", phase, Measure.VOLATILITY], found["ALL", phase, Measure.VOLATILITY]
        assert (every.events, every.instruments) == (dollar.events, dollar.instruments)
        assert every.estimate == pytest.approx(dollar.estimate, rel=1e-12)


@pytest.mark.req("REG-12")
def test_several_instruments_that_see_one_event_are_one_observation() -> None:
    one, two = looked(EVENTS, bars(1, louder=3.0)), looked(EVENTS, bars(1, louder=3.0), bars(1, louder=3.0))
    key = ("USD", Phase.AFTER, Measure.VOLATILITY)
    assert two[key].events == one[key].events
    assert (one[key].instruments, two[key].instruments) == (1, 2)
    assert two[key].estimate == pytest.approx(one[key].estimate)
    assert two[key].low == pytest.approx(one[key].low)
    gains = [of["USD", Phase.AFTER, Measure.DRIFT].estimate for of in (one, two)]
    assert abs(gains[1]) < 1e-12 < abs(gains[0])  # what euros lose to dollars, dollars lose to yen


@pytest.mark.req("REG-12")
def test_weaker_events_beside_stronger_ones_and_events_without_a_time_say_nothing() -> None:
    weak = [event(day, Impact.LOW, at=AT + 30 * NS_PER_MINUTE) for day in EVENT_DAYS]
    midnight = [event(day, Impact.LOW, at=0) for day in EVENT_DAYS]
    feed = ColumnFeed((EUR,), (M15,), (), (bars(1),))
    found = behaviour(feed, Settings(), [*EVENTS, *weak, *midnight])
    assert {row.impact for row in found.rows} == {Impact.HIGH}
    assert (found.events, found.untimed, found.covered) == (3 * len(EVENTS), len(EVENTS), 41)


@pytest.mark.req("REG-12")
def test_other_days_are_at_the_same_hour_and_none_of_them_has_an_event_as_strong() -> None:
    rows, span = bars(1, louder=50.0), Span(4, 4, M15.ns)
    names = ("open", "high", "low", "close")
    nothing = np.zeros(rows.ts.size)
    values = np.array([*(rows.values[name] for name in names), nothing, nothing, rows.values["spread_close"]])
    times = np.array([one.ts_event for one in EVENTS])
    key = (Phase.AFTER, Measure.VOLATILITY)
    of = sums(Timed(rows.ts, values), M15.ns)
    clean, dirty = against_other_days(of, times, times, span)[key], against_other_days(of, times, times[:0], span)[key]
    middle = np.isfinite(clean) & np.isfinite(dirty)
    assert np.exp(clean[middle].mean()) == pytest.approx(50, rel=0.15)
    assert np.exp(dirty[middle].mean()) < 25  # a third of the days compared with are loud themselves


@pytest.mark.req("REG-12")
def test_near_is_within_the_bars_looked_at() -> None:
    span, hour = Span(4, 8, M15.ns), NS_PER_HOUR
    events = np.array([100 * hour])
    times = 100 * hour + np.array([-2 * hour - 1, -2 * hour + 1, -hour, 0, hour, hour + 1])
    assert near(times, events, span).tolist() == [False, True, True, True, True, False]


@pytest.mark.req("REG-12")
def test_what_cannot_be_judged_is_said() -> None:
    daily = ColumnFeed((EUR,), (Timeframe.D1,), (), (bars(1),))
    with pytest.raises(DataError, match="bars of 1d are longer than the span before or after an event"):
        behaviour(daily, Settings(), EVENTS)
    ts = bars(1).ts
    with pytest.raises(DataError, match="expected bars, got ticks"):
        behaviour(ColumnFeed((EUR,), (M15,), (), (Rows(RawTick, ts, ts, {}),)), Settings(), EVENTS)
    with pytest.raises(DataError, match="no event of the calendar lies in the data"):
        behaviour(ColumnFeed((EUR,), (M15,), (), (bars(1),)), Settings(), [event(5000)])
