"""A file name says what is in the file, in the forms in which recorded data come."""

from __future__ import annotations

import pytest

from market_data.feeds.filenames import parse, stem

NAMES = [
    "",
    "AAPL_1m_20140605-20140609_raw                AAPL           -                   1m",
    "AAPL_D1_raw_to2018                           AAPL           -                   1d",
    "AAPL_H1_raw_to2018                           AAPL           -                   1h",
    "AAPL_M15_to2018_snowguru                     AAPL           SNOWGURU            15m",
    "USA500_H1_to2018_snowguru                    USA500         SNOWGURU            1h",
    "XLB_D1_2000-2018                             XLB            -                   1d",
    "AUDUSD_D1_2007-2020_snowguru                 AUD-USD        SNOWGURU            1d",
    "EURGBP_D1_oanda_bidask                       EUR-GBP        OANDA               1d",
    "EURUSD_H4_2013-2020_ejtrader                 EUR-USD        EJTRADER            4h",
    "EURUSD_M1_201701-201712_histdata_bid         EUR-USD        HISTDATA            1m",
    "GBPUSD_M1_2012-02_fxcm_bidask                GBP-USD        FXCM                1m",
    "EURUSD_fxcm_quotes_20140507-20140508         EUR-USD        FXCM                -",
    "BTC-PERP_1m_20211231-20220201_ftx            BTC-PERP       FTX                 1m",
    "BTCEUR_1m_coinbase_trade+quote               BTC-EUR        COINBASE            1m",
    "BTCUSDT_5m_20250403-20250614_perp            BTC-USDT-PERP  -                   5m",
    "BTCUSD_M30_2017-2023_snowguru                BTC-USD        SNOWGURU            30m",
    "ETH_BTC_5m_201801                            ETH-BTC        -                   5m",
    "XRP_ETH_trades_20191011-13                   XRP-ETH        -                   -",
    "kraken_USDTUSD_1m_20230301-20230314          USDT-USD       KRAKEN              1m",
    "binance_USDCUSDT_1m_20230301-20230314        USDC-USDT      BINANCE             1m",
    "binance-usdm-perp_ETHUSDT_20240808_quotes    ETH-USDT       BINANCE-USDM-PERP   -",
    "ECB_reference_rates_1999-2020                -              ECB                 -",
    "eurusd_daily                                 EUR-USD        -                   1d",
    "EUR-USD_1w_mybroker                          EUR-USD        MYBROKER            1w",
    "PEPEUSDT_1h                                  PEPE-USDT      -                   1h",
    "",
][1:-1]


@pytest.mark.req("MKT-01")
@pytest.mark.parametrize("line", NAMES)
def test_symbol_venue_and_timeframe_are_in_the_name(line: str) -> None:
    name, symbol, venue, timeframe = line.split()
    found = parse(name)
    read = (found.symbol.name if found.symbol else "-", found.venue or "-", found.timeframe or "-")
    assert read == (symbol, venue, timeframe)


@pytest.mark.req("MKT-01", "MKT-08")
def test_only_a_venue_in_front_of_the_symbol_keeps_markets_apart() -> None:
    assert parse("kraken_BTCUSD_1m").venue_first
    assert not parse("BTCUSD_1m_kraken").venue_first


@pytest.mark.req("MKT-01")
def test_words_in_lower_case_are_no_tickers() -> None:
    assert parse("economic_calendar_201911-202005").symbol is None
    assert parse("vix_daily_to2020").symbol is None


def test_only_data_files_have_a_stem() -> None:
    assert [stem(name) for name in ("a.csv", "a.csv.gz", "a.b.parquet", "README.md")] == ["a", "a", "a.b", None]
