"""The market as arrays is what market data says message by message, whatever rows the feed has."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages import MarketSlice, RowsQuarantined
from common.model.time import NS_PER_DAY, DayClose, Timeframe, from_datetime
from common.quant.kernel import Floats, Ints
from market_data.feed import RawBar
from market_data.feeds import open_feed
from market_data.feeds.column_feed import ColumnFeed
from market_data.feeds.files import NO_TIME
from market_data.feeds.rows import Rows, arrivals
from market_data.instruments import define, parse_symbol
from market_data.settings import Settings
from market_data.source import FeedSource
from market_data.state import Seen
from market_data.validation import MEAN_MOVE_ROWS, Rules, refuse
from research.fast import market_kernel
from research.fast.market import Market, load_market, market_of

FRIDAY = from_datetime(datetime(2017, 3, 10, 18, tzinfo=UTC))  # before New York's clocks go forward
SYMBOLS = ("EUR-USD", "GBP-USD", "USD-JPY")
FRAMES = (Timeframe.M1, Timeframe.M5, Timeframe.H1, Timeframe.H4, Timeframe.D1)
DIRT = (np.nan, -1.0, 0.0, np.inf, 1e6)


def times(rng: np.random.Generator, base: Timeframe, count: int, start: int) -> Ints:
    """Mostly one after the other; holes of hours and weekends; some rows displaced, repeated or without a time."""
    gaps = rng.choice([1, 2, 7, 61, 3 * NS_PER_DAY // base.ns + 1], p=[0.8, 0.1, 0.05, 0.04, 0.01], size=count)
    ts = start // base.ns * base.ns + np.cumsum(gaps) * base.ns
    for row in np.flatnonzero(rng.random(count) < 0.03):
        ts[row] = rng.choice([ts[row - 1], ts[rng.integers(count)], ts[row] + 1, NO_TIME, -ts[row]])
    if not (ts > 0).any():
        ts[0] = start
    return np.asarray(ts)


def values(rng: np.random.Generator, count: int) -> dict[str, Floats]:
    """A walk with jumps that last and cells that are wrong."""
    moves = rng.normal(0, 0.002, count) + np.where(rng.random(count) < 0.03, rng.normal(0, 0.3, count), 0.0)
    close = 1.1 * np.exp(np.cumsum(moves))
    opens = close * (1 + rng.normal(0, 0.001, count))
    reach = 1 + np.abs(rng.normal(0, 0.001, (2, count)))
    made = {
        "open": opens,
        "high": np.maximum(opens, close) * reach[0],
        "low": np.minimum(opens, close) / reach[1],
        "close": close,
    }
    if rng.random() < 0.7:
        made["volume"] = rng.choice([0.1, 0.7, 1e9, np.nan], size=count)
    if rng.random() < 0.6:
        quoted = np.where(rng.random((2, count)) < 0.3, np.nan, rng.uniform(0, 0.001, (2, count)))
        made |= {"spread_open": quoted[0], "spread_close": quoted[1]}
    for column in made.values():
        wrong = rng.random(count) < 0.01
        column[wrong] = rng.choice(DIRT, wrong.sum())
    return made


def a_feed(seed: int, count: int, start: int = FRIDAY) -> ColumnFeed:
    rng = np.random.default_rng(seed)
    chosen = SYMBOLS[: rng.integers(1, 4)]
    frames = tuple(FRAMES[i] for i in rng.integers(len(FRAMES), size=len(chosen)))
    rows = []
    for base in frames:
        ts = times(rng, base, count, start)
        problems = {int(row): "cell is no number" for row in np.flatnonzero(rng.random(count) < 0.01)}
        rows.append(Rows(RawBar, ts, arrivals(ts, repeats=False), values(rng, count), problems))
    defined = tuple(define(symbol, "SIM", first_px=1.0) for name in chosen if (symbol := parse_symbol(name)))
    return ColumnFeed(defined, frames, ("a note",), tuple(rows))


def same(settings: Settings, feed: ColumnFeed) -> Market:
    """The market of the feed, having compared all it says with what market data says."""
    market = market_of(FeedSource(settings, feed))
    assert market is not None
    assert list(market.messages()) == list(FeedSource(settings, feed).messages())
    return market


every_settings = st.builds(
    Settings,
    timeframes=st.sets(st.sampled_from(list(Timeframe)), min_size=1).map(lambda chosen: tuple(sorted(chosen))),
    day_close=st.sampled_from(list(DayClose)),
    max_jump=st.sampled_from([0.001, 0.01, 0.1]),
    jump_moves=st.sampled_from([1.0, 20.0]),
)


@pytest.mark.req("RES-01", "MKT-03", "MKT-04")
@given(every_settings, st.integers(0, 2**32), st.sampled_from([1, 2, 9, 150]), st.sampled_from([FRIDAY, 0]))
def test_slices_and_refused_rows_are_those_of_market_data(
    settings: Settings, seed: int, count: int, start: int
) -> None:
    same(settings, a_feed(seed, count, start))


def test_the_random_feeds_have_what_they_are_to_have() -> None:
    said = [m for seed in range(40) for m in FeedSource(Settings(), a_feed(seed, 150)).messages()]
    refused = {row.reason.value for m in said if isinstance(m, RowsQuarantined) for row in m.rows}
    assert refused == {
        "UNPARSEABLE",
        "MISSING_PRICE",
        "NOT_POSITIVE",
        "OHLC_INCONSISTENT",
        "CROSSED",
        "DUPLICATE",
        "OUT_OF_ORDER",
        "OUTLIER",
    }
    slices = [m for m in said if isinstance(m, MarketSlice)]
    assert any(not any(bar.base for bar in m.bars) for m in slices)
    assert {bar.timeframe for m in slices for bar in m.bars} == set(Timeframe)


@pytest.mark.req("MKT-03")
@given(st.integers(0, 2**32), st.sampled_from([0.0, 1.09, 1.1, 1.3]), st.integers(0, 120))
def test_plain_rows_leave_behind_what_validation_remembers(seed: int, suspect: float, moves: int) -> None:
    rng = np.random.default_rng(seed)
    ts = np.arange(1, 200)
    close = 1.1 * np.exp(np.cumsum(rng.normal(0, 0.01, ts.size)))
    columns = np.vstack([close, close, close, close, np.ones((3, ts.size))])
    seen = Seen(close=1.1, suspect=suspect, mean_move=0.01 if moves else 0.0, moves=min(moves, MEAN_MOVE_ROWS))
    last_ts, state = np.zeros(1, np.int64), np.array([seen.close, seen.suspect, seen.mean_move, seen.moves])
    every = np.ones(ts.size, np.bool_)
    taken = market_kernel.believe(0, ts, ts, columns, every, 1.1, MEAN_MOVE_ROWS, last_ts, state)
    assert taken == ts.size
    for at, px in zip(ts.tolist(), close.tolist(), strict=True):
        assert refuse(RawBar("X", at, px, px, px, px, 1.0, 1.0, 1.0), seen, at, Rules(0.1, 20.0)) is None
    assert (last_ts[0], *state) == (seen.ts, seen.close, seen.suspect, seen.mean_move, seen.moves)


@pytest.mark.req("RES-01")
@given(st.integers(0, 2**32))
def test_columns_and_tables_hold_what_the_slices_say(seed: int) -> None:
    feed = a_feed(seed, 60)
    market = same(Settings(), feed)
    found = {(i, frame): ([], []) for i, frame in enumerate(market.base_timeframes)} | {
        key: ([], []) for key in market.coarse
    }
    index = {one.instrument_id: i for i, one in enumerate(market.instruments)}
    last = np.full(len(index), np.nan)
    for at in range(len(market)):
        high, low = np.full((2, len(index)), np.nan)
        for bar in market.slice(at).bars:
            steps, rows = found[index[bar.instrument_id], bar.timeframe]
            steps.append(at)
            spreads = [np.nan if px is None else px for px in (bar.spread_open, bar.spread_close)]
            rows.append([bar.open, bar.high, bar.low, bar.close, bar.volume, *spreads])
            if bar.base:
                i = index[bar.instrument_id]
                last[i], high[i], low[i] = bar.close, bar.high, bar.low
        np.testing.assert_array_equal(market.close[at], last)
        np.testing.assert_array_equal(market.high[at], high)
        np.testing.assert_array_equal(market.low[at], low)
    for (i, frame), (steps, rows) in found.items():
        bars = market.base[i] if frame is market.base_timeframes[i] else market.coarse[i, frame]
        assert bars.step.tolist() == steps
        np.testing.assert_array_equal(bars.values, np.array(rows, dtype=np.float64).reshape(-1, 7).T)
        assert bars.values.flags.c_contiguous
        np.testing.assert_array_equal(bars.low, bars.values[2])
    assert market.bars_between(0, len(market)) == market.ended.bars
    middle = len(market) // 2
    counted = sum(bar.base for at in range(middle, len(market)) for bar in market.slice(at).bars)
    assert market.bars_between(middle, len(market)) == counted


@pytest.mark.req("RES-01")
@pytest.mark.parametrize("data", ["builtin", "builtin-h1", "synthetic:gap:1m"])
def test_shipped_data_gives_the_same_messages(data: str) -> None:
    feed = open_feed(data, settings=Settings())
    assert isinstance(feed, ColumnFeed)
    same(Settings(), feed)


@pytest.mark.req("RES-01")
@pytest.mark.parametrize(
    ("directory", "end"),
    [
        ("fx/m1", datetime(2017, 1, 14, tzinfo=UTC)),
        ("equities/stocks_daily", None),
        ("equities/stocks_minute", None),
        ("crypto/bars", None),
    ],
)
def test_real_files_give_the_same_messages(shared_data: Path, directory: str, end: datetime | None) -> None:
    settings = Settings(day_close=DayClose.NEW_YORK_17)
    feed = open_feed(str(shared_data / directory), settings=settings, end_ns=end and from_datetime(end))
    assert isinstance(feed, ColumnFeed)
    assert same(settings, feed).ended.bars > 8_000


@pytest.mark.req("RES-01")
def test_ticks_are_left_to_market_data(tmp_path: Path) -> None:
    (tmp_path / "EURUSD_quotes.csv").write_text("timestamp,bid,ask\n2017-01-02T00:00:01Z,1.1,1.2\n")
    assert load_market({"run": {"data": str(tmp_path)}}) is None


def test_what_is_warmed_up_is_all_that_is_called() -> None:
    """A second signature would be compiled in every first run."""
    market_kernel.warm()
    same(Settings(), a_feed(1, 50))
    kernels = [value for value in vars(market_kernel).values() if hasattr(value, "signatures")]
    assert len(kernels) == 6
    assert {kernel.__name__: len(kernel.signatures) for kernel in kernels} == {k.__name__: 1 for k in kernels}
