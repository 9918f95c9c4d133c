"""Prices of one symbol at several venues, next to one another."""

from __future__ import annotations

import pytest

from ballast_cli.prices import of_slice, side_by_side, tables
from common.errors import BallastError
from common.messages.market_data import Bar, MarketSlice, Quote
from common.testing.builders import a


def quote(instrument_id: str, bid: float, ask: float) -> Quote:
    return Quote(instrument_id=instrument_id, bid=bid, ask=ask)


@pytest.mark.req("MKT-08")
def test_a_coin_at_three_venues_is_one_symbol_with_the_spread_between_them() -> None:
    one = a(
        MarketSlice,
        bars=(),
        quotes=(
            quote("BTC-USD.KRAKEN", 60_010.0, 60_012.0),
            quote("BTC-USD.COINBASE", 60_000.0, 60_001.0),
            quote("BTC-USD.BINANCE", 60_005.0, 60_006.0),
            quote("ETH-USD.KRAKEN", 2_500.0, 2_501.0),
        ),
    )
    btc, eth = side_by_side(one)
    assert [venue["venue"] for venue in btc["venues"]] == ["BINANCE", "COINBASE", "KRAKEN"]
    assert btc["spread_bps"] == pytest.approx((60_010 - 60_001) / 60_005.5 * 1e4)
    assert eth["spread_bps"] is None
    assert tables({"ts_event": "now", "symbols": [btc, eth]})[0].row_count == 4


@pytest.mark.req("MKT-08")
def test_where_nothing_is_quoted_the_close_of_the_base_bar_stands() -> None:
    bar = a(Bar, instrument_id="BTC-USD.X", close=100.0, spread_close=0.5, base=True)
    coarse = a(Bar, instrument_id="BTC-USD.X", close=90.0, base=False)
    (btc,) = side_by_side(a(MarketSlice, bars=(bar, coarse), quotes=()))
    assert btc["venues"] == [{"venue": "X", "bid": 99.75, "ask": 100.25}]


@pytest.mark.req("MKT-08")
def test_the_end_of_a_day_in_which_nothing_was_quoted_is_no_empty_table() -> None:
    """As over a weekend: the last slice is the one in which Friday's coarser bars ended."""
    coarse = a(Bar, instrument_id="EUR-USD.X", close=1.1, base=False)
    with pytest.raises(BallastError, match="no prices at 2017-01-07T00:00:00Z"):
        of_slice(a(MarketSlice, ts_event=1_483_747_200 * 10**9, bars=(coarse,), quotes=()))
    with pytest.raises(BallastError, match="no prices yet"):
        of_slice(None)
