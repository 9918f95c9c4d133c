"""Recorded data as it is: every directory becomes a feed, and its known oddities are found."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from common.errors import DataError
from common.messages import MarketDataEnded, MarketSlice, RowsQuarantined
from common.messages.market_data import Bar, QuarantinedRow
from common.model.time import Timeframe, from_datetime, iso
from market_data.feed import Feed
from market_data.feeds import open_feed
from market_data.settings import Settings
from market_data.source import FeedSource

SETTINGS = Settings()


def ns(year: int, month: int = 1, day: int = 1) -> int:
    return from_datetime(datetime(year, month, day, tzinfo=UTC))


def run(feed: Feed) -> tuple[list[tuple[int, Bar]], list[QuarantinedRow], MarketDataEnded]:
    said = list(FeedSource(SETTINGS, feed).messages())
    base = [(m.ts_event, bar) for m in said if isinstance(m, MarketSlice) for bar in m.bars if bar.base]
    refused = [row for m in said if isinstance(m, RowsQuarantined) for row in m.rows]
    return base, refused, said[-1]


DIRECTORIES = {
    "fx/d1": "AUD-USD.SNOWGURU:1d EUR-GBP.OANDA:1d EUR-USD.OANDA:1d GBP-USD.OANDA:1d USD-JPY.SNOWGURU:1d",
    "fx/h1": "AUD-USD.EJTRADER:1h EUR-GBP.EJTRADER:1h EUR-USD.OANDA:1h GBP-USD.EJTRADER:1h USD-JPY.EJTRADER:1h",
    "fx/h4": "EUR-USD.EJTRADER:4h",
    "fx/m1": "AUD-USD.HISTDATA:1m EUR-GBP.HISTDATA:1m EUR-USD.HISTDATA:1m GBP-USD.FXCM:1m USD-JPY.FXCM:1m",
    "fx/ticks": "EUR-USD.FXCM:1m",
    "crypto/bars": "BTC-EUR.COINBASE:1m BTC-PERP.FTX:1m BTC-USD.COINBASE:1m BTC-USDT-PERP.LOCAL:5m ETC-BTC.LOCAL:5m "
    "ETH-BTC.LOCAL:5m ETH-USD.COINBASE:1m ETH-USDT-PERP.LOCAL:5m LTC-BTC.LOCAL:5m LTC-USDT.SNOWGURU:1h",
    "crypto/ticks": "BTC-USDT.BINANCE-SPOT:1m BTC-USDT.BINANCE-USDM-PERP:1m ETH-USDT.BINANCE-SPOT:1m "
    "ETH-USDT.BINANCE-USDM-PERP:1m XRP-ETH.LOCAL:1m",
    "crypto/venues_m1": "BTC-EUR.BINANCE:1m BTC-EUR.KRAKEN:1m BTC-USD.COINBASE:1m BTC-USD.KRAKEN:1m "
    "BTC-USDC.BINANCE:1m BTC-USDC.KRAKEN:1m BTC-USDT.BINANCE:1m BTC-USDT.COINBASE:1m BTC-USDT.KRAKEN:1m "
    "USDC-USD.KRAKEN:1m USDC-USDT.BINANCE:1m USDT-USD.COINBASE:1m USDT-USD.KRAKEN:1m",
    "equities/cfd_intraday": "AAPL.SNOWGURU:15m USA500.SNOWGURU:1h",
    "equities/etf_daily": "AGG.US:1d SPY.US:1d XLB.US:1d XLC.US:1d XLE.US:1d XLF.US:1d XLI.US:1d XLK.US:1d XLP.US:1d "
    "XLU.US:1d XLV.US:1d XLY.US:1d",
    "equities/panels": "AAPL.US:1d AMD.US:1d BAC.US:1d BBY.US:1d CVX.US:1d GE.US:1d HD.US:1d JNJ.US:1d JPM.US:1d KO.US:1d "
    "LLY.US:1d MRK.US:1d MSFT.US:1d MTUM.US:1d PEP.US:1d PFE.US:1d PG.US:1d QUAL.US:1d RRC.US:1d SIZE.US:1d UNH.US:1d "
    "USMV.US:1d VLUE.US:1d WMT.US:1d XOM.US:1d",
    "equities/stocks_daily": "AAPL.US:1d BAC.US:1d EEM.US:1d GOOG.US:1d IBM.US:1d IWM.US:1d QQQ.US:1d USO.US:1d",
    "equities/stocks_hour": "AAPL.US:1h SPY.US:1h",
    "equities/stocks_minute": "AAPL.US:1m GOOG.US:1m SPY.US:1m",
}


@pytest.mark.req("MKT-01")
@pytest.mark.parametrize("directory", DIRECTORIES)
def test_every_directory_gives_the_instruments_its_file_names_say(shared_data: Path, directory: str) -> None:
    feed = open_feed(str(shared_data / directory), settings=SETTINGS)
    pairs = zip(feed.instruments, feed.base_timeframes, strict=True)
    assert " ".join(f"{one.instrument_id}:{timeframe}" for one, timeframe in pairs) == DIRECTORIES[directory]


@pytest.mark.req("MKT-01")
@pytest.mark.parametrize("directory", ["calendar", "equities", "fx", "macro", "news", "options"])
def test_a_directory_without_prices_says_why(shared_data: Path, directory: str) -> None:
    with pytest.raises(DataError, match="holds no prices that can be replayed"):
        open_feed(str(shared_data / directory), settings=SETTINGS)


@pytest.mark.req("MKT-01")
def test_daily_euro_is_fixings_then_mids_then_bids_and_one_sided_throughout(shared_data: Path) -> None:
    feed = open_feed(str(shared_data / "fx/d1"), settings=SETTINGS, symbols=("EURUSD",))
    base, refused, _ = run(feed)
    assert (iso(base[0][0])[:10], iso(base[-1][0])[:10]) == ("1999-01-05", "2020-06-01")
    assert all(bar.spread_close is None for _, bar in base)
    assert any("one-sided throughout" in note for note in feed.notes)
    assert refused == []
    closes = np.array([bar.close for _, bar in base])
    assert np.abs(np.diff(np.log(closes))).max() < 0.05  # the seams do not show


@pytest.mark.req("MKT-01")
def test_daily_euro_keeps_the_quotes_of_a_span_that_has_nothing_else(shared_data: Path) -> None:
    feed = open_feed(
        str(shared_data / "fx/d1"), settings=SETTINGS, symbols=("EURUSD",), start_ns=ns(2008), end_ns=ns(2018)
    )
    base, _, _ = run(feed)
    assert base
    assert all(bar.spread_close is not None for _, bar in base)


@pytest.mark.req("MKT-03")
def test_bad_prints_are_quarantined_and_splits_pass_after_a_day(shared_data: Path) -> None:
    feed = open_feed(str(shared_data / "equities/stocks_daily"), settings=SETTINGS, symbols=("GOOG", "AAPL"))
    base, refused, _ = run(feed)
    days = {(row.instrument_id, iso(row.ts_row)[:10]) for row in refused}
    assert {("GOOG.US", "2008-10-01"), ("GOOG.US", "2007-12-19"), ("AAPL.US", "2009-09-22")} <= days  # closes: a day on
    after = {iso(ts)[:10]: bar.close for ts, bar in base if bar.instrument_id == "AAPL.US"}
    assert "2014-06-10" not in after
    assert 90 < after["2014-06-11"] < 100
    assert len(refused) < 15


@pytest.mark.req("MKT-03")
def test_the_pound_falling_in_october_2016_is_believed(shared_data: Path) -> None:
    feed = open_feed(
        str(shared_data / "fx/h1"), settings=SETTINGS, symbols=("GBPUSD",), start_ns=ns(2016, 6), end_ns=ns(2016, 11)
    )
    base, refused, _ = run(feed)
    assert refused == []
    assert min(bar.low for ts, bar in base if iso(ts)[:10] == "2016-10-07") < 1.18


@pytest.mark.req("MKT-03")
def test_crossed_ticks_are_quarantined_and_counted(shared_data: Path) -> None:
    feed = open_feed(str(shared_data / "fx/ticks"), settings=SETTINGS, start_ns=ns(2014, 5, 8))
    base, refused, ended = run(feed)
    ticks = sum(len(step.rows) for step in feed.steps())
    assert Counter(row.reason.value for row in refused).keys() == {"CROSSED"}
    assert 0.04 < ended.quarantined / ticks < 0.15
    assert all(bar.spread_close is not None and bar.spread_close >= 0 for _, bar in base)


@pytest.mark.req("MKT-03")
def test_crossed_minute_bars_are_quarantined(shared_data: Path) -> None:
    feed = open_feed(str(shared_data / "fx/m1"), settings=SETTINGS, symbols=("GBPUSD",), end_ns=ns(2012, 3, 2))
    base, refused, _ = run(feed)
    assert Counter(row.reason.value for row in refused).keys() == {"CROSSED"}
    assert 0.005 < len(refused) / (len(base) + len(refused)) < 0.06


@pytest.mark.req("MKT-01")
def test_minutes_of_trades_and_quotes_are_mids_where_there_are_quotes(shared_data: Path) -> None:
    feed = open_feed(str(shared_data / "equities/stocks_minute"), settings=SETTINGS, symbols=("AAPL",))
    base, refused, _ = run(feed)
    quoted = [bar for _, bar in base if bar.spread_close is not None]
    assert 0.9 < len(quoted) / len(base) < 1.0
    assert [row.reason.value for row in refused] == ["OUTLIER"] * 2  # quotes of half the price outside market hours


@pytest.mark.req("MKT-08")
def test_venues_stand_side_by_side_minute_by_minute(shared_data: Path) -> None:
    feed = open_feed(
        str(shared_data / "crypto/venues_m1"), settings=SETTINGS, symbols=("BTCUSDT",), end_ns=ns(2023, 3, 2)
    )
    both = [step for step in feed.steps() if len(step.rows) == 3]
    assert len(both) > 600
    assert all(max(row.close for row in step.rows) / min(row.close for row in step.rows) < 1.01 for step in both)


@pytest.mark.req("MKT-01")
def test_ticks_of_a_book_become_minutes(shared_data: Path) -> None:
    base, _, _ = run(open_feed(str(shared_data / "crypto/ticks"), settings=SETTINGS, symbols=("BTC-USDT",)))
    spot = [bar for _, bar in base if bar.instrument_id == "BTC-USDT.BINANCE-SPOT"]
    assert 5 <= len(spot) <= 7
    assert all(bar.timeframe is Timeframe.M1 and 0 < bar.spread_close < 1 for bar in spot)
