"""Prices that need no file: the ECB's fixings, the hours that ship, and markets that never were."""

from __future__ import annotations

import numpy as np
import pytest

from common.errors import DataError
from common.messages import MarketDataEnded
from common.model.time import Timeframe, iso
from market_data.feed import Feed, RawBar
from market_data.feeds import open_feed
from market_data.feeds.synthetic import MARKETS
from market_data.settings import Settings
from market_data.source import FeedSource

SETTINGS = Settings()
JANUARY_2015 = 1_420_070_400_000_000_000
JULY_2017 = 1_498_867_200_000_000_000


def rows(feed: Feed, symbol: str) -> list[RawBar]:
    return [row for step in feed.steps() for row in step.rows if row.instrument_id.startswith(symbol)]


def ended(feed: Feed) -> MarketDataEnded:
    *_, last = FeedSource(SETTINGS, feed).messages()
    assert isinstance(last, MarketDataEnded)
    return last


@pytest.mark.req("MKT-01")
def test_the_builtin_feed_has_the_majors_since_1999_as_fixings() -> None:
    feed = open_feed("builtin", settings=SETTINGS)
    symbols = [instrument.symbol for instrument in feed.instruments]
    assert symbols == ["AUD-USD", "EUR-USD", "GBP-USD", "NZD-USD", "USD-CAD", "USD-CHF", "USD-JPY"]
    assert all(instrument.close_only for instrument in feed.instruments)
    assert set(feed.base_timeframes) == {Timeframe.D1}
    euro = rows(feed, "EUR-USD")
    assert (iso(euro[0].ts), euro[0].close) == ("1999-01-04T13:15:00Z", 1.1789)
    pound = next(row for row in rows(feed, "GBP-USD") if iso(row.ts).startswith("1999-01-04"))
    assert pound.close == round(1.1789 / 0.7111, 5)
    assert (pound.open, pound.high, pound.low) == (pound.close,) * 3


@pytest.mark.req("MKT-01")
def test_fixings_follow_frankfurt_through_summer_time() -> None:
    feed = open_feed("builtin", settings=SETTINGS, start_ns=JULY_2017, symbols=("USDJPY",))
    assert iso(rows(feed, "USD-JPY")[0].ts) == "2017-07-03T12:15:00Z"


@pytest.mark.req("MKT-03")
def test_the_day_the_franc_was_let_go_is_believed_when_the_next_fixing_confirms_it() -> None:
    feed = open_feed("builtin", settings=SETTINGS, start_ns=JANUARY_2015, end_ns=JULY_2017, symbols=("USD-CHF",))
    last = ended(feed)
    assert (last.quarantined, last.bars) == (1, len(rows(feed, "USD-CHF")) - 1)


@pytest.mark.req("MKT-01")
def test_the_hours_that_ship_are_a_year_of_sound_bars_in_utc() -> None:
    feed = open_feed("builtin-h1", settings=SETTINGS)
    (instrument,) = feed.instruments
    euro = rows(feed, "EUR-USD")
    assert (instrument.symbol, feed.base_timeframes) == ("EUR-USD", (Timeframe.H1,))
    assert (len(euro), iso(euro[0].ts), iso(euro[-1].ts)) == (6225, "2017-01-01T23:00:00Z", "2017-12-29T22:00:00Z")
    assert ended(feed).quarantined == 0


@pytest.mark.req("MKT-01")
@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("timeframe", ["1h", "1m"])
def test_a_synthetic_market_is_the_same_for_the_same_seed_and_passes_validation(market: str, timeframe: str) -> None:
    spec = f"synthetic:{market}:{timeframe}"
    feed = open_feed(spec, settings=SETTINGS, seed=7)
    assert list(feed.steps()) == list(open_feed(spec, settings=SETTINGS, seed=7).steps())
    assert list(feed.steps()) != list(open_feed(spec, settings=SETTINGS, seed=8).steps())
    assert ended(feed).quarantined == 0


def returns(market: str) -> np.ndarray:
    """Hourly log returns of the pairs that are quoted in dollars, shape (bars, 3)."""
    feed = open_feed(f"synthetic:{market}", settings=SETTINGS, seed=3, symbols=("AUD-USD", "EUR-USD", "GBP-USD"))
    closes = np.array([[row.close for row in step.rows] for step in feed.steps()])
    return np.diff(np.log(closes), axis=0)


def correlation(moves: np.ndarray) -> float:
    return float(np.corrcoef(moves.T)[np.triu_indices(3, 1)].mean())


@pytest.mark.req("MKT-01")
def test_each_synthetic_market_has_its_trait() -> None:
    calm, trend, crash = returns("calm"), returns("trend"), returns("crash")
    assert (trend.sum(axis=0) - calm.sum(axis=0) > 0.2).all()
    assert (crash[1490:1660].sum(axis=0) < -0.08).all()
    flash = returns("flash_crash") - calm
    assert flash[1499:1504].sum(axis=0) == pytest.approx([-0.08] * 3, abs=1e-3)
    assert flash[1499:1514].sum(axis=0) == pytest.approx([-0.008] * 3, abs=1e-3)
    assert len(returns("gap")) == len(calm) - 6
    spike = returns("correlation_spike")
    assert correlation(spike[1500:1799]) > 0.93
    assert correlation(spike[:1490]) < 0.55


@pytest.mark.req("MKT-01")
@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("nowhere/at/all", "no such directory; expected builtin, builtin-h1, synthetic:NAME or a directory"),
        ("synthetic:boom", "no such market; expected one of calm, trend, crash"),
        ("synthetic:calm:1d", "expected bars of 1h or 1m"),
    ],
)
def test_an_unknown_feed_is_refused_with_what_there_is(spec: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        open_feed(spec, settings=SETTINGS)


@pytest.mark.req("MKT-01")
@pytest.mark.parametrize("spec", ["builtin", "builtin-h1", "synthetic:calm"])
def test_symbols_nobody_has_are_refused_with_those_that_are_there(spec: str) -> None:
    with pytest.raises(DataError, match=r"has none of XAU-USD; it has .*EUR-USD"):
        open_feed(spec, settings=SETTINGS, symbols=("XAUUSD",))
    with pytest.raises(DataError, match="expected a pair such as EUR-USD"):
        open_feed(spec, settings=SETTINGS, symbols=("???",))


@pytest.mark.req("MKT-01")
def test_a_span_without_prices_is_refused() -> None:
    with pytest.raises(DataError, match="holds no prices between 2017-07-01T00:00:00Z and 2015-01-01"):
        open_feed("builtin", settings=SETTINGS, start_ns=JULY_2017, end_ns=JANUARY_2015)
