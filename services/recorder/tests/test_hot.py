"""What each message changes in the hot state, as values."""

from __future__ import annotations

import msgspec
import pytest

from common import messages as m
from common.messages.base import Message
from common.messages.market_data import Bar
from common.runtime.redis import BOOK, FEEDS, LADDERS, MODELS, OVERRIDES, PRICES, REGIMES, SIGNALS, TAPE
from common.testing.builders import EUR_USD, STRATEGY, T0, a, envelope
from recorder.hot import changes

pytestmark = pytest.mark.req("PLT-03")


def put(message: Message) -> dict[tuple[str, str], object]:
    return {
        (one.hash_name, one.field): msgspec.json.decode(one.value) for one in changes(42, envelope(message), message)
    }


def test_a_quote_says_better_than_a_bar_what_the_price_is() -> None:
    price = put(a(m.MarketSlice))[PRICES, EUR_USD]
    assert price == {"seq": 42, "ts_event": T0, "px": 1.0412, "open": 1.0405, "bid": 1.0411, "ask": 1.0413}


def test_only_the_finest_bars_are_prices() -> None:
    slice_ = a(m.MarketSlice, quotes=(), bars=(a(Bar, close=1.1), a(Bar, close=1.2, base=False)))
    assert put(slice_) == {
        (PRICES, EUR_USD): {"seq": 42, "ts_event": T0, "px": 1.1, "open": 1.0405},
        (TAPE, "ts_event"): T0,
    }


def test_readings_signals_and_ladders_have_a_field_each() -> None:
    assert put(a(m.RegimeStep))[REGIMES, f"{EUR_USD}|1h"]["regime"] == "TRENDING_UP"
    assert put(a(m.SignalsStep))[SIGNALS, f"{STRATEGY}|{EUR_USD}|1d"]["direction"] == "LONG"
    assert put(a(m.LadderChanged))[LADDERS, "drawdown"]["level"] == 1


@pytest.mark.req("REG-05", "REG-07", "REG-08", "MKT-02")
def test_models_feeds_overrides_and_the_market_are_hot() -> None:
    step = put(a(m.RegimeStep))
    assert step[MODELS, f"{EUR_USD}|1h"]["change_24h"] == 0.25
    assert step[BOOK, "market"]["stress_score"] == 0.3
    assert (BOOK, "market") not in put(a(m.RegimeStep, market=None))
    assert put(a(m.FeedChanged))[FEEDS, f"{EUR_USD}|oanda"]["active"] is True
    assert put(a(m.RegimeOverridden, instrument_id="", regime=None))[OVERRIDES, ""]["regime"] is None


def test_the_book_is_what_was_last_said_of_it() -> None:
    assert put(a(m.ExecutionStep))[BOOK, "execution"]["cash"] == {"USD": "98971.30"}
    assert put(a(m.RiskStep))[BOOK, "risk"]["equity"] == "100012.50"
    assert put(a(m.TradingStateChanged))[BOOK, "trading_state"]["reason"] == "drill"
    assert "orders" not in put(a(m.PortfolioStep))[BOOK, "portfolio"]


def test_an_order_leaves_nothing_hot() -> None:
    assert put(a(m.OrderFilled)) == {}
