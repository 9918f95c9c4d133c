"""Splits and dividends: no jump where nothing was lost, and the returns of who held the share."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.errors import DataError
from common.model.time import NS_PER_DAY, NS_PER_HOUR, from_datetime
from market_data.corporate_actions import Factors, adjust, read, with_spreads
from market_data.feed import RawBar
from market_data.feeds import open_feed
from market_data.feeds.column_feed import ColumnFeed
from market_data.feeds.files import read_columns
from market_data.feeds.rows import Rows
from market_data.settings import Settings

TABLE = "equities/corporate_actions_factors.csv.gz"
Floats = NDArray[np.float64]


def day(year: int, month: int, number: int) -> int:
    return from_datetime(datetime(year, month, number, tzinfo=UTC))


def opened(data: Path, symbol: str, table: Path | None, **span: int) -> ColumnFeed:
    settings = Settings(symbols=(symbol,), corporate_actions=str(table or ""))
    return open_feed(str(data), settings=settings, **span)


def closes(feed: ColumnFeed) -> tuple[NDArray[np.int64], Floats]:
    """Close of the bar and price."""
    return feed.rows[0].ts, feed.rows[0].values["close"]


def returns(px: Floats) -> Floats:
    return np.asarray(px[1:] / px[:-1] - 1.0)


# --- the rule --------------------------------------------------------------------------------------------------------


def made(px: Floats) -> Rows:
    ts = day(2010, 1, 1) + NS_PER_DAY * np.arange(1, px.size + 1)
    return Rows(RawBar, ts, ts, {"open": px, "high": px, "low": px, "close": px, "volume": np.full(px.size, 100.0)})


def table(days: list[int], price: list[float], split: list[float]) -> Factors:
    until = np.array([day(2010, 1, 1) + n * NS_PER_DAY + NS_PER_DAY + 6 * NS_PER_HOUR for n in days])
    return Factors(until, np.array(price), np.array(split))


@pytest.mark.req("MKT-01")
def test_a_split_moves_volumes_the_other_way_and_a_dividend_does_not_move_them() -> None:
    rows = made(np.array([100.0, 100.0, 25.0, 25.0]))
    after = adjust("X", rows, int(rows.ts[-1]), table([1, 2], [0.98, 0.98], [0.25, 1.0]))
    np.testing.assert_allclose(after.values["close"], [24.5, 24.5, 24.5, 25.0])
    np.testing.assert_allclose(after.values["volume"], [400.0, 400.0, 100.0, 100.0])


@pytest.mark.req("MKT-01", "RES-01")
@given(
    st.lists(st.floats(0.95, 1.05), min_size=12, max_size=40),
    st.lists(st.tuples(st.floats(0.9, 1.0), st.sampled_from([0.5, 0.25, 1.0, 2.0])), min_size=1, max_size=5),
    st.integers(1, 10),
)
def test_no_return_is_changed_by_an_action_that_comes_later(
    moves: list[float], actions: list[tuple[float, float]], known: int
) -> None:
    """Property: with or without the actions after a day, the returns up to that day are the same, but for the last bits."""
    rows = made(100 * np.cumprod(np.array(moves)))
    dates = [2, *(known + 1 + 5 * i for i in range(len(actions)))]
    price, split = (np.cumprod([each[side] for each in actions][::-1])[::-1].tolist() for side in (0, 1))
    whole = table(dates, [0.97 * price[0], *price], [0.5 * split[0], *split])
    first = table([2], [0.97], [0.5])
    upto = known + 1
    end = int(rows.ts[-1])
    scaled, alone = (values.at(rows.ts, end)[0] * rows.values["close"] for values in (whole, first))
    np.testing.assert_allclose(returns(scaled[:upto]), returns(alone[:upto]), rtol=0, atol=1e-14)


@pytest.mark.req("MKT-01", "RES-01")
def test_an_action_after_the_end_of_the_data_changes_no_price() -> None:
    rows = made(np.array([100.0, 101.0, 102.5]))
    later = table([1, 50], [0.97, 0.99], [0.25, 0.25])
    without = table([1], [0.97 / 0.99], [1.0])
    known, unknown = (adjust("X", rows, int(rows.ts[-1]), factors).values for factors in (later, without))
    assert known["close"][-1] == unknown["close"][-1] == 102.5
    np.testing.assert_allclose(known["close"], unknown["close"], rtol=1e-15)
    np.testing.assert_array_equal(known["volume"], unknown["volume"])


@pytest.mark.req("MKT-01")
def test_prices_that_are_adjusted_already_are_refused() -> None:
    rows = made(np.array([25.0, 25.1, 25.0, 25.2]))
    with pytest.raises(DataError, match=r"adjusted already.*manifest"):
        adjust("X", rows, int(rows.ts[-1]), table([1], [1.0], [0.25]))


@pytest.mark.req("MKT-01", "EXE-04")
def test_the_assumed_spread_is_that_of_the_raw_share() -> None:
    """A cent of a share of ten dollars, a basis point of one of a thousand: also where adjusted prices are a hundredth."""
    rows = made(np.array([1000.0, 1000.0, 10.0]))
    factors = table([1], [1.0], [0.01])
    with_ = with_spreads(adjust("X", rows, int(rows.ts[-1]), factors), int(rows.ts[-1]), factors, None)
    relative = with_.values["spread_close"] / with_.values["close"] / 2
    np.testing.assert_allclose(relative, [1e-4, 1e-4, 1e-3])


@pytest.mark.req("MKT-01")
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            "timestamp,symbol,price_factor,split_factor\n2010-01-04,X,0,1\n",
            "row 2: expected a date and two factors > 0",
        ),
        ("timestamp,symbol,price_factor\n2010-01-04,X,1\n", "no column split_factor"),
        (
            "timestamp,symbol,price_factor,split_factor\n2010-01-04,X,1,1\n2010-01-03,X,1,1\n",
            "X: expected dates that rise",
        ),
    ],
)
def test_a_bad_table_is_refused_with_its_place(tmp_path: Path, body: str, says: str) -> None:
    (tmp_path / "factors.csv").write_text(body)
    with pytest.raises(DataError, match=says):
        read(tmp_path / "factors.csv")


# --- as files --------------------------------------------------------------------------------------------------------


def folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    (path / "ACME_D1.csv").write_text(
        "timestamp,open,high,low,close,volume\n"
        "2010-01-04,40,40,40,40,100\n2010-01-05,40,40,40,40,100\n2010-01-06,10,10,10,10,400\n"
    )
    (path / "factors.csv").write_text(
        "timestamp,symbol,price_factor,split_factor\n2010-01-05,ACME,1,0.25\n2050-12-31,ACME,1,1\n"
    )
    return path


@pytest.mark.req("MKT-01")
def test_a_table_beside_the_data_is_applied_and_said(tmp_path: Path) -> None:
    feed = opened(folder(tmp_path / "data"), "ACME", None)
    assert closes(feed)[1].tolist() == [10.0, 10.0, 10.0]
    assert feed.rows[0].values["volume"].tolist() == [400.0, 400.0, 400.0]
    assert feed.instruments[0].price_increment == Decimal("0.001")  # a quarter of a cent and more would be lost
    assert "ACME_D1.csv: adjusted for splits and dividends" in feed.notes


@pytest.mark.req("MKT-01")
def test_a_manifest_can_say_that_a_file_is_adjusted(tmp_path: Path) -> None:
    data = folder(tmp_path / "data")
    (data / "manifest.toml").write_text('[files."ACME_D1.csv"]\nadjusted = true\n')
    assert closes(opened(data, "ACME", None))[1].tolist() == [40.0, 40.0, 10.0]


@pytest.mark.req("MKT-01")
def test_the_span_asked_for_does_not_change_what_a_price_was(tmp_path: Path) -> None:
    data = folder(tmp_path / "data")
    whole, part = opened(data, "ACME", None), opened(data, "ACME", None, end_ns=day(2010, 1, 6))
    assert closes(part)[1].tolist() == closes(whole)[1][:2].tolist()


# --- as it was -------------------------------------------------------------------------------------------------------


@pytest.mark.req("MKT-01")
@pytest.mark.parametrize(("year", "month", "number", "ratio"), [(2000, 6, 21, 2), (2005, 2, 28, 2), (2014, 6, 9, 7)])
def test_apples_splits_leave_no_jump(shared_data: Path, year: int, month: int, number: int, ratio: int) -> None:
    data = shared_data / "equities/stocks_daily"
    raw, adjusted = (closes(opened(data, "AAPL", table)) for table in (None, shared_data / TABLE))
    row = int(np.searchsorted(raw[0], day(year, month, number) + NS_PER_DAY))
    assert raw[1][row] / raw[1][row - 1] == pytest.approx(1 / ratio, rel=0.12)
    assert adjusted[1][row] / adjusted[1][row - 1] == pytest.approx(1.0, abs=0.11)


@pytest.mark.req("MKT-01")
def test_apples_split_of_2020_is_four_for_one_in_the_table_and_touches_no_price_before_2019(shared_data: Path) -> None:
    """The prices at hand end in 2018: what came later must not show."""
    factors = read(shared_data / TABLE)["AAPL"]
    around = np.array([day(2020, 8, 29), day(2020, 9, 1)])
    scale, split = factors.at(around, int(around[-1]))
    assert (scale[0], split[0]) == (pytest.approx(0.25), pytest.approx(0.25))
    feed = opened(shared_data / "equities/stocks_daily", "AAPL", shared_data / TABLE)
    assert closes(feed)[1][-1] == 157.74


@pytest.mark.req("MKT-01")
@pytest.mark.parametrize(("symbol", "raw_growth"), [("AAPL", 0.0182), ("BAC", -0.0350)])
def test_total_returns_are_those_of_an_independent_adjusted_series(
    shared_data: Path, symbol: str, raw_growth: float
) -> None:
    """Growth a year from 2000 to 2018, and returns by day since 2010 (before, the panel is rounded too coarsely): LEAN's
    factors against the adjusted closes of another house (skfolio).
    """
    stocks, panels = shared_data / "equities/stocks_daily", shared_data / "equities/panels"
    first = day(2000, 1, 1)
    ours = opened(stocks, symbol, shared_data / TABLE, start_ns=first)
    raw, theirs = (opened(data, symbol, None, start_ns=first) for data in (stocks, panels))
    ts = np.intersect1d(ours.rows[0].ts, theirs.rows[0].ts)
    a, b, c = (px[np.isin(times, ts)] for times, px in map(closes, (ours, theirs, raw)))
    growth = [float(px[-1] / px[0]) ** (252 / ts.size) - 1 for px in (a, b, c)]
    assert growth[0] == pytest.approx(growth[1], abs=0.0002)
    assert growth[2] == pytest.approx(raw_growth, abs=0.0001)
    late = int(np.searchsorted(ts, day(2010, 1, 1)))
    by_day = returns(a[late:]), returns(b[late:])
    assert np.median(np.abs(by_day[0] - by_day[1])) < 5e-5
    assert np.corrcoef(*by_day)[0, 1] > 0.999


@pytest.mark.req("MKT-01")
def test_spys_dividends_are_those_of_its_own_column(shared_data: Path) -> None:
    """Total return out of close and dividend, by hand, against the adjusted series."""
    data = shared_data / "equities/etf_daily"
    columns = read_columns(data / "SPY_D1_2000-2018.parquet", ("close", "dividends"))
    px, paid = columns.values["close"], columns.values["dividends"]
    by_hand = (px[1:] + paid[1:]) / px[:-1] - 1.0
    ts, adjusted = closes(opened(data, "SPY", shared_data / TABLE))
    assert ts.size == px.size
    raw = float(px[-1] / px[0])
    ours, theirs = float(adjusted[-1] / adjusted[0]), float(np.prod(1.0 + by_hand))
    assert theirs / raw > 1.3  # nineteen years of dividends
    assert ours == pytest.approx(theirs, rel=0.005)
    on_dates = paid[1:] > 0
    assert np.max(np.abs(returns(adjusted) - by_hand)[on_dates]) < 1e-3


@pytest.mark.req("MKT-01")
def test_hours_around_a_split_are_adjusted_too(shared_data: Path) -> None:
    hours = opened(shared_data / "equities/stocks_hour", "AAPL", shared_data / TABLE, start_ns=day(2014, 6, 1))
    ts, px = closes(hours)
    split = int(np.searchsorted(ts, day(2014, 6, 7)))
    assert px[split] / px[split - 1] == pytest.approx(1.0, abs=0.03)


@pytest.mark.req("MKT-01")
def test_a_table_copied_beside_real_data_is_found(shared_data: Path, tmp_path: Path) -> None:
    for name in (TABLE, "equities/stocks_daily/AAPL_D1_raw_to2018.parquet"):
        shutil.copy(shared_data / name, tmp_path)
    found = opened(tmp_path, "AAPL", None)
    named = opened(shared_data / "equities/stocks_daily", "AAPL", shared_data / TABLE)
    np.testing.assert_array_equal(closes(found)[1], closes(named)[1])
