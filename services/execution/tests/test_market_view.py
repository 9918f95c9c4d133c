"""What execution knows of a market when it plans (EXE-05)."""

from __future__ import annotations

from math import log
from typing import Any

import msgspec
import pytest

from common.messages.market_data import Bar, MarketSlice, Quote
from common.model.instrument import Instrument
from common.model.time import NS_PER_DAY, NS_PER_HOUR, Timeframe
from common.testing.builders import EUR_USD, a
from execution.market_view import RETURNS_NEEDED, InstrumentView, MarketView

MIDNIGHT = 17_000 * NS_PER_DAY
INSTRUMENTS = {EUR_USD: a(Instrument)}


class Watcher:
    """A view that is shown hourly bars."""

    def __init__(self) -> None:
        self.market = MarketView()
        self.now = MIDNIGHT

    @property
    def view(self) -> InstrumentView:
        return self.market.instruments[EUR_USD]

    def see(self, close: float, *, hours: int = 1, quotes: tuple[Quote, ...] = (), **changes: Any) -> InstrumentView:
        self.now += hours * NS_PER_HOUR
        bar = a(Bar, timeframe=Timeframe.H1, close=close, **{"spread_close": None, "volume": 0.0, **changes})
        self.market.observe(MarketSlice(ts_event=self.now, book="fx", step=1, bars=(bar,), quotes=quotes), INSTRUMENTS)
        return self.view


@pytest.mark.req("EXE-05")
def test_volatility_is_the_root_of_the_mean_squared_return_and_grows_with_the_root_of_time() -> None:
    watcher = Watcher()
    for close in (100, 101, 99, 100):
        view = watcher.see(close)
    squares = log(101 / 100) ** 2 + log(99 / 101) ** 2 + log(100 / 99) ** 2
    assert view.sigma_bps(NS_PER_HOUR) == pytest.approx((squares / 3) ** 0.5 * 10_000)
    assert view.sigma_bps(4 * NS_PER_HOUR) == pytest.approx(2 * view.sigma_bps(NS_PER_HOUR))


def test_old_returns_fade_by_six_per_cent_a_bar() -> None:
    watcher = Watcher()
    for close in [100, 101] * 20:
        view = watcher.see(close)
    before = view.variance
    for _ in range(3):
        view = watcher.see(101)
    assert view.variance == pytest.approx(before * 0.94**3)


def test_a_move_over_a_weekend_counts_as_one_bar_of_many() -> None:
    watcher = Watcher()
    watcher.see(100)
    assert watcher.see(102, hours=49).variance == pytest.approx(log(1.02) ** 2 / 49)


@pytest.mark.parametrize(
    ("bar", "quotes", "mid", "half"),
    [
        ({}, (), 1.1, 0.00005),  # the instrument's own
        ({"spread_close": 0.0004}, (), 1.1, 0.0002),
        ({"spread_close": -0.0001}, (), 1.1, 0.0),
        ({"spread_close": 0.0004}, (Quote(instrument_id=EUR_USD, bid=1.2, ask=1.201),), 1.2005, 0.0005),
    ],
)
def test_the_spread_is_the_quotes_else_the_bars_else_the_instruments(
    bar: dict[str, Any], quotes: tuple[Quote, ...], mid: float, half: float
) -> None:
    view = Watcher().see(1.1, quotes=quotes, **bar)
    assert (view.mid, view.half_spread) == (pytest.approx(mid), pytest.approx(half))
    assert view.half_spread_bps == pytest.approx(half / mid * 10_000)


def test_bars_made_of_others_and_strangers_are_not_looked_at() -> None:
    watcher = Watcher()
    watcher.see(1.1)
    watcher.see(1.2, base=False)
    watcher.see(1.2, instrument_id="GBP-USD.ECB")
    assert (watcher.view.mid, list(watcher.market.instruments)) == (1.1, [EUR_USD])


def test_a_market_is_known_after_enough_returns() -> None:
    watcher = Watcher()
    assert not any(watcher.see(1.1).ready for _ in range(RETURNS_NEEDED))
    assert watcher.see(1.1).ready


@pytest.mark.req("EXE-05")
def test_volume_follows_the_day_at_the_present_level() -> None:
    watcher = Watcher()
    for hour in range(24 * 5):
        watcher.see(1.1, volume=300.0 if hour % 24 == 8 else 100.0)
    eight = watcher.now + 8 * NS_PER_HOUR
    assert watcher.view.volume_at(eight, watcher.now) == pytest.approx(3 * watcher.view.volume)
    assert watcher.view.volume_at(eight + NS_PER_HOUR, watcher.now) == pytest.approx(watcher.view.volume)


def test_the_day_is_flat_where_it_is_not_known() -> None:
    watcher = Watcher()
    watcher.see(1.1, volume=100.0)
    assert watcher.view.volume_at(watcher.now + 5 * NS_PER_HOUR, watcher.now) == 100.0
    assert Watcher().see(1.1).volume_at(watcher.now, watcher.now) == 0.0


def test_a_view_survives_its_snapshot() -> None:
    watcher = Watcher()
    for close in (1.1, 1.2, 1.15):
        watcher.see(close, volume=5.0)
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(watcher.market), type=MarketView)
    assert restored == watcher.market
