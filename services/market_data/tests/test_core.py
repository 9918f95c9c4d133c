"""Slices are numbered without a hole, and a restored core goes on as if nothing had happened."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages import InstrumentsDefined, MarketDataEnded, MarketSlice, Message, RowsQuarantined, RunStarted
from common.messages.market_data import Quote
from common.model.time import NS_PER_HOUR, NS_PER_MINUTE, Timeframe
from market_data.core import MarketData
from market_data.feed import Feed, RawBar, RawStep, RawTick
from market_data.feeds import open_feed
from market_data.instruments import define, parse_symbol
from market_data.settings import Settings
from market_data.source import FeedSource
from market_data.state import State

SETTINGS = Settings()
EUR = define(parse_symbol("EUR-USD"), "TEST", first_px=1.0)
GBP = define(parse_symbol("GBP-USD"), "TEST", first_px=1.0)
START = 1_483_315_200_000_000_000  # Monday, 2017-01-02
MINUTE = NS_PER_MINUTE


def fresh() -> MarketData:
    return MarketData(SETTINGS, [EUR, GBP], [Timeframe.M1, Timeframe.M1])


def bar(instrument_id: str, ts: int, px: float = 1.0) -> RawBar:
    return RawBar(instrument_id, ts, px, px, px, px)


def step(minute: int, *rows: RawBar | RawTick) -> RawStep:
    return RawStep(START + minute * MINUTE, rows)


def good(minute: int, *instruments: str) -> RawStep:
    return step(minute, *(bar(one, START + minute * MINUTE) for one in instruments or (EUR.instrument_id,)))


def run_of(feed: Feed, settings: Settings = SETTINGS) -> list[Message]:
    return list(FeedSource(settings, feed).messages())


@pytest.mark.req("MKT-03", "MKT-04")
@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_opens_with_its_instruments_counts_its_slices_and_ends(seed: int) -> None:
    feed = open_feed("synthetic:gap", settings=SETTINGS, seed=seed)
    started, defined, *middle, ended = run_of(feed)
    assert isinstance(started, RunStarted)
    assert isinstance(defined, InstrumentsDefined)
    assert [instrument.symbol for instrument in defined.instruments] == ["AUD-USD", "EUR-USD", "GBP-USD", "USD-JPY"]
    slices = [message for message in middle if isinstance(message, MarketSlice)]
    assert [one.step for one in slices] == list(range(1, len(slices) + 1))
    assert isinstance(ended, MarketDataEnded)
    assert ended.steps == len(slices)
    assert ended.bars == sum(one.base for message in slices for one in message.bars)
    times = [message.ts_event for message in middle]
    assert times == sorted(times)


@pytest.mark.req("MKT-04")
def test_bars_stand_in_instrument_order_finest_first() -> None:
    core = fresh()
    core.handle_step(good(4, GBP.instrument_id))
    (said,) = core.handle_step(good(5, GBP.instrument_id, EUR.instrument_id))
    shown = [(one.instrument_id[:3], one.timeframe.value, one.base) for one in said.bars]
    assert shown == [("EUR", "1m", True), ("EUR", "5m", False), ("GBP", "1m", True), ("GBP", "5m", False)]


@pytest.mark.req("MKT-03")
def test_refused_rows_are_said_and_counted_and_the_rest_goes_on() -> None:
    core = fresh()
    core.handle_step(good(1, EUR.instrument_id, GBP.instrument_id))
    refused, said = core.handle_step(
        step(2, bar(EUR.instrument_id, START + 2 * MINUTE, -1.0), bar(GBP.instrument_id, START + 2 * MINUTE))
    )
    assert isinstance(refused, RowsQuarantined)
    assert [(row.instrument_id, row.reason.value) for row in refused.rows] == [(EUR.instrument_id, "NOT_POSITIVE")]
    assert [one.instrument_id for one in said.bars] == [GBP.instrument_id]
    assert core.finish()[0].quarantined == 1


@pytest.mark.req("MKT-03")
def test_a_step_of_refused_rows_only_makes_no_slice() -> None:
    core = fresh()
    said = core.handle_step(step(1, bar(EUR.instrument_id, START + MINUTE, 0.0)))
    assert [type(message) for message in said] == [RowsQuarantined]
    assert core.state.step == 0


@pytest.mark.req("MKT-03", "MKT-04")
def test_late_data_are_refused_even_for_an_instrument_that_was_silent() -> None:
    core = fresh()
    core.handle_step(good(10))
    (refused,) = core.handle_step(good(9, GBP.instrument_id))
    assert [(row.reason.value, row.ts_row) for row in refused.rows] == [("OUT_OF_ORDER", START + 9 * MINUTE)]
    assert core.state.ts_event == START + 10 * MINUTE


@pytest.mark.req("MKT-03")
def test_minutes_missing_while_the_market_is_open_are_gaps_and_a_weekend_is_none() -> None:
    """Currencies trade to Friday, 22:00 UTC, and from Sunday, 22:00 UTC."""
    core, closing, opening = fresh(), (4 * 24 + 22) * 60, (6 * 24 + 22) * 60
    for minute in (closing - 9, closing - 8, closing - 5, closing - 4, closing, opening + 1, opening + 3):
        core.handle_step(good(minute))
    assert core.finish()[0].gaps == 2 + 3 + 1


@pytest.mark.req("MKT-03", "MKT-04")
def test_ticks_make_a_bar_of_mids_with_spreads_and_the_last_good_quote() -> None:
    core, end = fresh(), START + MINUTE
    ticks = [
        RawTick(EUR.instrument_id, end - 50, 1.0, 1.25, 10.0, 20.0),
        RawTick(EUR.instrument_id, end - 40, 1.25, 1.0),  # crossed
        RawTick(EUR.instrument_id, end - 30, 1.125, 1.25, 5.0, 6.0),
        RawTick(EUR.instrument_id, end - 20, 1.0, 1.125, 7.0, 8.0),
    ]
    refused, said = core.handle_step(RawStep(end, tuple(ticks)))
    assert [row.reason.value for row in refused.rows] == ["CROSSED"]
    (one,) = said.bars
    assert (one.open, one.high, one.low, one.close) == (1.125, 1.1875, 1.0625, 1.0625)
    assert (one.spread_open, one.spread_close) == (0.25, 0.125)
    assert said.quotes == (Quote(instrument_id=EUR.instrument_id, bid=1.0, ask=1.125, bid_size=7.0, ask_size=8.0),)


@pytest.mark.req("MKT-04")
def test_trades_make_a_bar_with_volume_and_no_quote() -> None:
    end = START + MINUTE
    trades = tuple(RawTick(EUR.instrument_id, end - 9 + i, None, 1.0 + i / 100, volume=2.0) for i in range(3))
    (said,) = fresh().handle_step(RawStep(end, trades))
    assert (said.bars[0].close, said.bars[0].volume, said.bars[0].spread_close, said.quotes) == (1.02, 6.0, None, ())


moves = st.tuples(
    st.sampled_from([1, 1, 1, 2, 5, 61, 2000]),
    st.sampled_from([EUR.instrument_id, GBP.instrument_id]),
    st.sampled_from([1.0, 1.01, 0.99, 1.5, 0.0]),
)


@pytest.mark.req("PLT-09", "MKT-04")
@given(st.lists(moves, min_size=1, max_size=60), st.data())
def test_a_core_restored_from_its_state_says_what_the_uninterrupted_one_says(
    path: list[tuple[int, str, float]], data: st.DataObject
) -> None:
    minute, steps = 0, []
    for ahead, instrument_id, px in path:
        minute += ahead
        steps.append(step(minute, bar(instrument_id, START + minute * MINUTE, px)))
    cut = data.draw(st.integers(0, len(steps)))
    straight, first, second = fresh(), fresh(), fresh()
    expected = [message for one in steps for message in straight.handle_step(one)]
    said = [message for one in steps[:cut] for message in first.handle_step(one)]
    second.state = msgspec.json.decode(msgspec.json.encode(first.state), type=State)
    said += [message for one in steps[cut:] for message in second.handle_step(one)]
    assert said == expected
    assert second.finish() == straight.finish()


def test_hourly_and_minute_instruments_share_a_slice() -> None:
    core = MarketData(SETTINGS, [EUR, GBP], [Timeframe.H1, Timeframe.M1])
    end = START + NS_PER_HOUR
    (said,) = core.handle_step(RawStep(end, (bar(EUR.instrument_id, end), bar(GBP.instrument_id, end))))
    shown = [(one.instrument_id[:3], one.timeframe.value) for one in said.bars]
    assert shown == [("EUR", "1h"), ("GBP", "1m"), ("GBP", "5m"), ("GBP", "15m"), ("GBP", "30m"), ("GBP", "1h")]
