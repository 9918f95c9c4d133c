"""A directory of files becomes a feed; what is wrong in a row costs the row, what is wrong with a file is one clear error."""

from __future__ import annotations

import gzip
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from common.errors import DataError
from common.messages import MarketSlice, RowsQuarantined
from common.model.enums import AssetClass
from common.model.time import Timeframe, from_datetime, iso
from market_data.feed import Feed, RawBar
from market_data.feeds import open_feed
from market_data.settings import Settings
from market_data.source import FeedSource

SETTINGS = Settings()
HEADER = "timestamp,open,high,low,close,volume"


def hours(*changes: tuple[int, str], count: int = 12) -> list[str]:
    """Rows of 2017-01-02 from 00:00 on; `changes` replace rows by number."""
    rows = [f"2017-01-02 {hour:02}:00:00+00:00,1.10,1.12,1.09,1.11,5" for hour in range(count)]
    for number, row in changes:
        rows[number] = row
    return rows


def write(path: Path, rows: list[str], header: str = HEADER) -> Path:
    text = "\n".join([header, *rows]) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def feed_of(directory: Path, **options: object) -> Feed:
    return open_feed(str(directory), settings=SETTINGS, **options)


def bars(feed: Feed) -> list[RawBar]:
    return [row for step in feed.steps() for row in step.rows]


def outcome(feed: Feed) -> tuple[int, Counter[str], list[str]]:
    """Base bars said, refusals by reason, their details."""
    said = list(FeedSource(SETTINGS, feed).messages())
    refused = [row for message in said if isinstance(message, RowsQuarantined) for row in message.rows]
    base = sum(bar.base for message in said if isinstance(message, MarketSlice) for bar in message.bars)
    return base, Counter(row.reason.value for row in refused), [row.detail for row in refused]


@pytest.mark.req("MKT-01")
@pytest.mark.parametrize("name", ["EURUSD_H1_x.csv", "EURUSD_H1_x.csv.gz"])
def test_a_bar_is_handed_over_at_its_close(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, hours())
    feed = feed_of(tmp_path)
    assert (feed.instruments[0].instrument_id, feed.base_timeframes) == ("EUR-USD.X", (Timeframe.H1,))
    first = bars(feed)[0]
    assert (iso(first.ts), first.open, first.high, first.low, first.close, first.volume) == (
        "2017-01-02T01:00:00Z", 1.10, 1.12, 1.09, 1.11, 5.0,
    )  # fmt: skip
    assert outcome(feed)[0] == 12


@pytest.mark.req("MKT-03")
@pytest.mark.parametrize(
    ("change", "reason", "shown"),
    [
        ("2017-01-02 05:00:00+00:00,1.10,1.12,1.09,1.1x,5", "UNPARSEABLE", "close='1.1x' is not a number"),
        ("yesterday,1.10,1.12,1.09,1.11,5", "UNPARSEABLE", "timestamp='yesterday' is not a time"),
        ("2017-01-02 05:00:00+00:00,1.10", "UNPARSEABLE", "2 cells, expected 6"),
        ("2017-01-02 05:00:00+00:00,1.10,1.12,,1.11,5", "MISSING_PRICE", "low=nan"),
        ("2017-01-02 05:00:00+00:00,1.10,1.12,-1.09,1.11,5", "NOT_POSITIVE", "low=-1.09"),
        ("2017-01-02 05:00:00+00:00,1.10,1.08,1.09,1.11,5", "OHLC_INCONSISTENT", "high=1.08"),
        ("2017-01-02 04:00:00+00:00,1.10,1.12,1.09,1.11,5", "DUPLICATE", "second row for 2017-01-02T05:00:00Z"),
        ("2017-01-02 02:00:00+00:00,1.10,1.12,1.09,1.11,5", "OUT_OF_ORDER", "found behind 2017-01-02T05:00:00Z"),
        ("2019-01-02 02:00:00+00:00,1.10,1.12,1.09,1.11,5", "OUT_OF_ORDER", "found behind 2017-01-02T05:00:00Z"),
        ("2017-01-02 05:00:00+00:00,11.0,11.2,10.9,11.1,5", "OUTLIER", "close=11.1"),
    ],
)
def test_a_bad_row_is_quarantined_with_its_reason_and_the_rest_trades(
    tmp_path: Path, change: str, reason: str, shown: str
) -> None:
    write(tmp_path / "EURUSD_H1.csv", hours((5, change)))
    base, refused, details = outcome(feed_of(tmp_path))
    assert (base, refused) == (11, Counter({reason: 1}))
    assert shown in details[0]


@pytest.mark.req("MKT-03")
def test_every_row_is_believed_or_refused_however_the_file_is_shuffled(tmp_path: Path) -> None:
    rows = hours()
    write(tmp_path / "EURUSD_H1.csv", [rows[10], *rows[1:5], rows[3], rows[7], rows[6], *rows[8:10], rows[0], rows[11]])
    base, refused, _ = outcome(feed_of(tmp_path))
    assert base + refused.total() == 12
    assert refused == Counter({"OUT_OF_ORDER": 4})


@pytest.mark.req("MKT-01", "MKT-03")
def test_two_sided_bars_become_mids_with_spreads_and_crossed_ones_are_refused(tmp_path: Path) -> None:
    sides = [f"{side}_{name}" for side in ("bid", "ask") for name in ("open", "high", "low", "close")]
    good, crossed = "1.0,1.5,0.5,1.25,1.5,2.0,1.0,1.5", "1.0,1.5,0.5,1.25,1.5,2.0,1.0,1.0"
    rows = [f"2017-01-02T00:00:00Z,{good}", f"2017-01-02T01:00:00Z,{crossed}"]
    write(tmp_path / "GBPUSD_H1.csv", rows, ",".join(["timestamp", *sides]))
    first = bars(feed_of(tmp_path))[0]
    assert (first.open, first.high, first.low, first.close) == (1.25, 1.75, 0.75, 1.375)
    assert (first.spread_open, first.spread_close) == (0.5, 0.25)
    assert outcome(feed_of(tmp_path))[:2] == (1, Counter({"CROSSED": 1}))


SIDES = ",".join(
    ["timestamp", *(f"{side}_{name}" for side in ("bid", "ask") for name in ("open", "high", "low", "close"))]
)


def both_kinds(directory: Path) -> Path:
    """Two hours with quotes (the second crossed), then a bid alone: the whole second day."""
    quotes = [
        "2017-01-01T00:00:00Z,1.0,1.25,0.875,1.0,1.25,1.5,1.0,1.25",
        "2017-01-01T01:00:00Z,1.0,1.25,0.875,1.0,1.25,1.5,0.75,0.75",
    ]
    write(directory / "EURUSD_H1_quotes.csv", quotes, SIDES)
    write(directory / "EURUSD_H1_bids.csv", hours())
    return directory


@pytest.mark.req("MKT-01", "MKT-03")
def test_an_instrument_of_which_some_files_have_quotes_is_one_sided_throughout(tmp_path: Path) -> None:
    feed = feed_of(both_kinds(tmp_path))
    first, crossed, *later = bars(feed)
    assert (first.open, first.high, first.low, first.close) == (1.125, 1.375, 0.9375, 1.125)
    assert {(bar.spread_open, bar.spread_close) for bar in (first, *later)} == {(None, None)}
    assert (crossed.spread_open, crossed.spread_close) == (0.25, -0.25)
    assert outcome(feed)[:2] == (13, Counter({"CROSSED": 1}))
    note = "EUR-USD: one-sided throughout, at mid prices: some of its files have quotes and others have none"
    assert feed.notes == ("EUR-USD: EURUSD_H1_bids.csv fills what lies outside", note)


@pytest.mark.req("MKT-01")
def test_quotes_are_kept_where_only_files_with_quotes_are_in_the_span_asked_for(tmp_path: Path) -> None:
    quotes_end = from_datetime(datetime(2017, 1, 2, tzinfo=UTC))
    asked = feed_of(both_kinds(tmp_path), end_ns=quotes_end)
    assert [bar.spread_open for bar in bars(asked)] == [0.25, 0.25]
    assert asked.notes == ("EUR-USD: EURUSD_H1_bids.csv fills what lies outside",)


@pytest.mark.req("MKT-01", "MKT-03")
def test_quoted_ticks_beside_trades_become_trades_at_their_mid(tmp_path: Path) -> None:
    quotes = ["2017-01-01T00:00:01Z,1.0,1.5", "2017-01-01T00:01:01Z,1.5,1.0", "2017-01-01T00:02:01Z,0,1.0"]
    write(tmp_path / "ETHUSD_quotes.csv", quotes, "timestamp,bid,ask")
    write(tmp_path / "ETHUSD_trades.csv", ["2017-01-01T00:03:01Z,1.3,7"], "timestamp,price,size")
    feed = feed_of(tmp_path)
    said = [
        bar for m in FeedSource(SETTINGS, feed).messages() if isinstance(m, MarketSlice) for bar in m.bars if bar.base
    ]
    assert [(bar.close, bar.spread_close, bar.volume) for bar in said] == [(1.25, None, 0.0), (1.3, None, 7.0)]
    assert outcome(feed)[1] == Counter({"MISSING_PRICE": 2})


@pytest.mark.req("MKT-01")
def test_capitals_other_names_of_time_and_naive_times_are_understood(tmp_path: Path) -> None:
    write(tmp_path / "EURUSD_1h.csv", ["2017-01-02T00:00,1,1,1,1"], "Date,OPEN,HIGH,LOW,CLOSE")
    assert [(iso(bar.ts), bar.volume) for bar in bars(feed_of(tmp_path))] == [("2017-01-02T01:00:00Z", 0.0)]


@pytest.mark.req("MKT-01")
def test_the_better_file_decides_and_the_other_fills_before_and_after(tmp_path: Path) -> None:
    write(tmp_path / "EURUSD_H1_short.csv", hours(count=3))
    write(tmp_path / "EURUSD_H1_longer.csv", hours(count=6))
    feed = feed_of(tmp_path)
    assert [instrument.instrument_id for instrument in feed.instruments] == ["EUR-USD.LONGER"]
    assert feed.notes == ("EUR-USD: EURUSD_H1_short.csv fills what lies outside",)
    assert outcome(feed)[:2] == (6, Counter())


@pytest.mark.req("MKT-01")
def test_the_finest_timeframe_of_a_symbol_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "EURUSD_H1.csv", hours())
    write(tmp_path / "EURUSD_D1.csv", hours(count=1))
    feed = feed_of(tmp_path)
    assert feed.base_timeframes == (Timeframe.H1,)
    assert feed.notes == ("EURUSD_D1.csv left out: finer data of EUR-USD is at hand",)


@pytest.mark.req("MKT-08")
def test_venues_named_in_front_are_instruments_of_their_own(tmp_path: Path) -> None:
    for name in ("kraken_BTCUSD_1h", "binance_BTCUSD_1h", "BTCUSD_1h_kraken"):
        write(tmp_path / f"{name}.csv", hours())
    assert [one.instrument_id for one in feed_of(tmp_path).instruments] == ["BTC-USD.BINANCE", "BTC-USD.KRAKEN"]


@pytest.mark.req("MKT-01")
def test_a_panel_gives_close_only_instruments_and_an_empty_cell_is_no_row(tmp_path: Path) -> None:
    write(tmp_path / "stocks.csv", ["2017-01-02,10.0,", "2017-01-03,11.0,20.0"], "timestamp,AAA,BBB")
    feed = feed_of(tmp_path)
    assert [(one.instrument_id, one.close_only) for one in feed.instruments] == [("AAA.US", True), ("BBB.US", True)]
    assert [(row.instrument_id, iso(row.ts)[:10], row.close) for row in bars(feed)] == [
        ("AAA.US", "2017-01-03", 10.0),
        ("AAA.US", "2017-01-04", 11.0),
        ("BBB.US", "2017-01-04", 20.0),
    ]


@pytest.mark.req("MKT-01")
def test_rates_of_the_ecb_give_the_majors(tmp_path: Path) -> None:
    write(tmp_path / "ECB_rates.csv", ["2017-01-02,1.2,0.8,120.0"], "timestamp,USD,GBP,JPY")
    feed = feed_of(tmp_path)
    assert {row.instrument_id: row.close for row in bars(feed)} == {
        "EUR-USD.ECB": 1.2,
        "GBP-USD.ECB": 1.5,
        "USD-JPY.ECB": 100.0,
    }


@pytest.mark.req("MKT-01")
def test_a_manifest_says_what_the_name_does_not(tmp_path: Path) -> None:
    write(tmp_path / "prices.csv", hours())
    (tmp_path / "manifest.toml").write_text(
        '[files."prices.csv"]\nsymbol = "ABC"\ntimeframe = "1h"\nvenue = "LSE"\nasset_class = "EQUITY"\n'
    )
    feed = feed_of(tmp_path)
    assert (feed.instruments[0].instrument_id, feed.instruments[0].asset_class) == ("ABC.LSE", AssetClass.EQUITY)


@pytest.mark.req("MKT-01")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[files."absent.csv"]\nsymbol = "ABC"', "names 'absent.csv', which is not in the directory"),
        ('[files."EURUSD_H1.csv"]\ntimeframe = "2h"', r"Invalid enum value '2h' - at `\$.files\[...\].timeframe`"),
        ('[files."EURUSD_H1.csv"]\nsymbl = "ABC"', "unknown field `symbl`"),
        ('[files."EURUSD_H1.csv"]\nkind = "quotes"', "says it holds quotes, but it has no column ask, bid"),
        ("files = [", "manifest.toml"),
    ],
)
def test_a_wrong_manifest_is_one_clear_error(tmp_path: Path, text: str, complaint: str) -> None:
    write(tmp_path / "EURUSD_H1.csv", hours())
    (tmp_path / "manifest.toml").write_text(text)
    with pytest.raises(DataError, match=complaint):
        feed_of(tmp_path)


@pytest.mark.req("MKT-01")
def test_symbols_filter_the_directory_and_the_absent_ones_are_noted(tmp_path: Path) -> None:
    write(tmp_path / "EURUSD_H1.csv", hours())
    write(tmp_path / "GBPUSD_H1.csv", hours())
    feed = feed_of(tmp_path, symbols=("GBP_USD", "AUD_USD"))
    assert [instrument.symbol for instrument in feed.instruments] == ["GBP-USD"]
    assert feed.notes == (f"AUD-USD is not in {tmp_path}",)
    with pytest.raises(DataError, match="has none of AUD-USD; it has EUR-USD, GBP-USD"):
        feed_of(tmp_path, symbols=("AUD-USD",))


def test_files_that_hold_no_prices_are_listed_with_the_reason(tmp_path: Path) -> None:
    write(tmp_path / "EURUSD_H1.csv", hours())
    write(tmp_path / "events.csv", ["2017-01-02,rates up"], "timestamp,event")
    write(tmp_path / "GOOG_D1_chain.csv", ["2017-01-02,700,C,1,1,1,1"], "timestamp,strike,right,open,high,low,close")
    write(tmp_path / "EURUSD.csv", hours())
    assert feed_of(tmp_path).notes == (
        "EURUSD.csv skipped: its name has no timeframe (such as H1 or 5m); manifest.toml can give one",
        "GOOG_D1_chain.csv skipped: option chains are not replayed",
        "events.csv skipped: no prices in its columns timestamp, event",
    )


def test_a_directory_without_prices_names_its_directories(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no prices that can be replayed; expected csv"):
        feed_of(tmp_path)
    (tmp_path / "h1").mkdir()
    with pytest.raises(DataError, match="holds no prices that can be replayed; its directories are h1"):
        feed_of(tmp_path)


def break_gzip(path: Path) -> Path:
    broken = write(path / "EURUSD_H1.csv.gz", hours())
    broken.write_bytes(broken.read_bytes()[:-20])
    return broken


def break_parquet(path: Path) -> Path:
    broken = path / "EURUSD_H1.parquet"
    parquet.write_table(pa.table({"timestamp": pa.array([1], pa.timestamp("ms")), "close": [1.0]}), broken)
    broken.write_bytes(broken.read_bytes()[:-10])
    return broken


def binary_csv(path: Path) -> Path:
    broken = path / "EURUSD_H1.csv"
    broken.write_bytes(b"\xff\xfe\x00\x81")
    return broken


def csv_without_times(path: Path) -> Path:
    return write(path / "EURUSD_H1.csv", ["1483315200,1,1,1,1,1"])


@pytest.mark.req("MKT-03")
@pytest.mark.parametrize("spoil", [break_gzip, break_parquet, binary_csv, csv_without_times])
def test_a_file_that_cannot_be_read_is_one_clear_error_with_its_name(tmp_path: Path, spoil) -> None:
    broken = spoil(tmp_path)
    with pytest.raises(DataError) as caught:
        feed_of(tmp_path)
    assert str(caught.value).startswith(f"{broken}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.req("MKT-03")
def test_text_among_the_numbers_of_a_parquet_file_costs_its_row(tmp_path: Path) -> None:
    times = pa.array([1_483_315_200_000 + 3_600_000 * i for i in range(3)], pa.timestamp("ms", tz="UTC"))
    ones = [1.0, 1.0, None]
    columns = {"timestamp": times, "open": ones, "high": ones, "low": ones, "close": ["1.0", "one", "1.0"]}
    parquet.write_table(pa.table(columns), tmp_path / "EURUSD_H1.parquet")
    assert outcome(feed_of(tmp_path))[:2] == (1, Counter({"UNPARSEABLE": 1, "MISSING_PRICE": 1}))


@pytest.mark.req("MKT-03")
def test_an_empty_time_in_a_parquet_file_costs_its_row(tmp_path: Path) -> None:
    times = pa.array([1_483_315_200_000, None, 1_483_322_400_000], pa.timestamp("ms", tz="UTC"))
    columns = {"timestamp": times} | {name: [1.0, 1.0, 1.0] for name in ("open", "high", "low", "close")}
    parquet.write_table(pa.table(columns), tmp_path / "EURUSD_H1.parquet")
    taken, refused, details = outcome(feed_of(tmp_path))
    assert (taken, refused, details) == (2, Counter({"UNPARSEABLE": 1}), ["timestamp is empty"])


@pytest.mark.req("MKT-01")
def test_an_empty_file_is_one_clear_error(tmp_path: Path) -> None:
    write(tmp_path / "EURUSD_H1.csv", [])
    with pytest.raises(DataError, match="no row with a timestamp such as 2017-01-03T14:15:00Z"):
        feed_of(tmp_path)
