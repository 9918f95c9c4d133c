"""Coarser bars are what the finer ones in their period say, and each is said once, when its period ends."""

from __future__ import annotations

from itertools import groupby

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages.market_data import Bar, MarketSlice
from common.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, DayClose, Timeframe, iso, period_close
from market_data.core import MarketData
from market_data.feed import RawBar, RawStep
from market_data.instruments import define, parse_symbol
from market_data.settings import Settings

EURUSD = define(parse_symbol("EUR-USD"), "TEST", first_px=1.0)
ID = EURUSD.instrument_id
MONDAY = 1_483_315_200_000_000_000  # 2017-01-02

Closed = list[tuple[int, Bar]]


def run(steps: list[RawStep], base: Timeframe = Timeframe.M1, **settings: object) -> Closed:
    """Every bar with the instant it was said at."""
    core = MarketData(Settings(**settings), [EURUSD], [base])
    said = [message for step in steps for message in core.handle_step(step)]
    return [(message.ts_event, bar) for message in said if isinstance(message, MarketSlice) for bar in message.bars]


def of(bars: Closed, timeframe: Timeframe) -> Closed:
    return [(ts, bar) for ts, bar in bars if bar.timeframe is timeframe]


def as_feed(bars: Closed) -> list[RawStep]:
    return [
        RawStep(
            ts, (RawBar(ID, ts, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.spread_open, bar.spread_close),)
        )
        for ts, bar in bars
    ]


def brute_force(base: Closed, timeframe: Timeframe, day_close: DayClose) -> Closed:
    """The definition: group base bars by the end of their period; the last period has not ended."""
    result = []
    for end, group in groupby(base, key=lambda pair: period_close(pair[0], timeframe, day_close)):
        bars = [bar for _, bar in group]
        merged = msgspec.structs.replace(
            bars[0],
            timeframe=timeframe,
            high=max(bar.high for bar in bars),
            low=min(bar.low for bar in bars),
            close=bars[-1].close,
            volume=sum(bar.volume for bar in bars),
            spread_close=bars[-1].spread_close,
            base=False,
        )
        result.append((end, merged))
    last = base[-1][0] if base else 0
    return [(end, bar) for end, bar in result if end <= last]


@st.composite
def minute_steps(draw: st.DrawFn) -> list[RawStep]:
    """Minute bars with holes from a minute to a week; prices near 1, whole volumes so that sums are exact."""
    start = MONDAY + draw(st.integers(0, 7 * 24 * 60)) * NS_PER_MINUTE
    holes = draw(st.lists(st.sampled_from([1, 1, 1, 1, 2, 7, 45, 61, 400, 1500, 9000]), min_size=1, max_size=120))
    steps, ts = [], start
    for hole in holes:
        ts += hole * NS_PER_MINUTE
        ticks = draw(st.lists(st.integers(9900, 10100), min_size=4, max_size=4))
        middle = [ticks[0] / 10_000, ticks[1] / 10_000]
        spread = draw(st.sampled_from([None, 0.5, 0.25]))
        bar = RawBar(
            ID, ts, middle[0], max(ticks) / 10_000, min(ticks) / 10_000, middle[1], float(ticks[2]), spread, spread
        )
        steps.append(RawStep(ts, (bar,)))
    return steps


@pytest.mark.req("MKT-04")
@given(minute_steps(), st.sampled_from(DayClose))
def test_every_coarser_bar_is_the_sum_of_the_minutes_in_its_period(steps: list[RawStep], day_close: DayClose) -> None:
    bars = run(steps, day_close=day_close)
    base = of(bars, Timeframe.M1)
    assert len(base) == len(steps)
    for timeframe in list(Timeframe)[1:]:
        assert of(bars, timeframe) == brute_force(base, timeframe, day_close)


@pytest.mark.req("MKT-04")
@given(minute_steps(), st.sampled_from([Timeframe.M5, Timeframe.M15, Timeframe.M30]))
def test_hours_made_of_coarser_bars_equal_hours_made_of_minutes(steps: list[RawStep], between: Timeframe) -> None:
    bars = run(steps)
    again = run(as_feed(of(bars, between)), base=between)
    hours = of(again, Timeframe.H1)
    assert hours == of(bars, Timeframe.H1)[: len(hours)]
    assert len(of(bars, Timeframe.H1)) - len(hours) <= 1


@pytest.mark.req("MKT-04")
@given(minute_steps(), st.sampled_from(DayClose))
def test_a_bar_is_closed_once_at_the_end_of_its_period_and_slices_rise(
    steps: list[RawStep], day_close: DayClose
) -> None:
    bars = run(steps, day_close=day_close)
    said = [(bar.timeframe, ts) for ts, bar in bars]
    assert len(said) == len(set(said))
    assert all(ts == period_close(ts, timeframe, day_close) for timeframe, ts in said)
    times = [ts for ts, _ in bars]
    assert times == sorted(times)


@pytest.mark.req("MKT-04")
@given(minute_steps(), st.sets(st.sampled_from(Timeframe)))
def test_leaving_out_timeframes_does_not_change_the_others(steps: list[RawStep], kept: set[Timeframe]) -> None:
    everything = run(steps)
    some = run(steps, timeframes=tuple(sorted(kept, key=lambda timeframe: timeframe.ns)))
    assert some == [(ts, bar) for ts, bar in everything if bar.base or bar.timeframe in kept]


def bar_at(ts: int, px: float = 1.0) -> RawStep:
    return RawStep(ts, (RawBar(ID, ts, px, px, px, px, 1.0),))


@pytest.mark.req("MKT-04")
def test_a_boundary_without_data_gets_a_slice_of_its_own_before_later_data() -> None:
    minute = MONDAY + 3 * NS_PER_MINUTE
    core = MarketData(Settings(timeframes=(Timeframe.M5, Timeframe.H1)), [EURUSD], [Timeframe.M1])
    said = core.handle_step(bar_at(minute)) + core.handle_step(bar_at(MONDAY + 2 * NS_PER_HOUR + NS_PER_MINUTE))
    shown = [(iso(m.ts_event)[11:16], m.step, [bar.timeframe.value for bar in m.bars]) for m in said]
    assert shown == [("00:03", 1, ["1m"]), ("00:05", 2, ["5m"]), ("01:00", 3, ["1h"]), ("02:01", 4, ["1m"])]


@pytest.mark.req("MKT-04")
def test_a_bar_whose_period_has_not_ended_is_not_said_at_the_end_of_the_data() -> None:
    core = MarketData(Settings(), [EURUSD], [Timeframe.M1])
    core.handle_step(bar_at(MONDAY + NS_PER_MINUTE))
    (ended,) = core.finish()
    assert (ended.steps, ended.bars, ended.ts_event) == (1, 1, MONDAY + NS_PER_MINUTE)


@pytest.mark.req("MKT-04")
def test_the_new_york_day_ends_at_17_hours_there_in_summer_and_in_winter() -> None:
    hours = [MONDAY + n * NS_PER_HOUR for n in range(1, 24 * 120)]
    bars = run([bar_at(ts) for ts in hours], base=Timeframe.H1, day_close=DayClose.NEW_YORK_17)
    days = [iso(ts)[11:16] for ts, _ in of(bars, Timeframe.D1)]
    assert (days[0], days[-1]) == ("22:00", "21:00")
    assert {(ts // NS_PER_DAY + 4) % 7 for ts, _ in of(bars, Timeframe.W1)} == {5}  # Fridays


@pytest.mark.req("MKT-04")
def test_daily_data_keep_their_own_weeks_whatever_the_day_close() -> None:
    days = [MONDAY + n * NS_PER_DAY for n in range(1, 6)] + [MONDAY + 8 * NS_PER_DAY]
    bars = run(
        [bar_at(ts, 1.0 + i / 100) for i, ts in enumerate(days)], base=Timeframe.D1, day_close=DayClose.NEW_YORK_17
    )
    ((end, week),) = of(bars, Timeframe.W1)
    assert (end, week.open, week.close) == (MONDAY + 7 * NS_PER_DAY, 1.0, 1.04)
