"""Master data by rule: increments and costs that fit the asset class."""

from __future__ import annotations

from decimal import Decimal

import pytest

from common.model.enums import AssetClass
from market_data.instruments import define, parse_symbol

D = Decimal


@pytest.mark.req("MKT-01")
@pytest.mark.parametrize(
    ("text", "name", "base", "quote", "asset_class"),
    [
        ("EURUSD", "EUR-USD", "EUR", "USD", "FX"),
        ("gbp_usd", "GBP-USD", "GBP", "USD", "FX"),
        ("XAU/USD", "XAU-USD", "XAU", "USD", "FX"),
        ("BTCUSDT", "BTC-USDT", "BTC", "USDT", "CRYPTO"),
        ("EURUSDT", "EUR-USDT", "EUR", "USDT", "CRYPTO"),
        ("BTC-PERP", "BTC-PERP", "BTC", "USD", "CRYPTO"),
        ("BTC-USDT-PERP", "BTC-USDT-PERP", "BTC", "USDT", "CRYPTO"),
        ("AAPL", "AAPL", "AAPL", "USD", "EQUITY"),
    ],
)
def test_a_symbol_is_read_however_it_is_spelled(text: str, name: str, base: str, quote: str, asset_class: str) -> None:
    symbol = parse_symbol(text)
    assert symbol is not None
    assert (symbol.name, symbol.base, symbol.quote, symbol.asset_class) == (name, base, quote, AssetClass(asset_class))


@pytest.mark.parametrize(
    "text", ["", "-", "EUR-", "EUR-EUR", "aapl", "500", "A B", "EUR-USD-GBP", "BTC-USDT-PERP-X", "BTC-PERP-PERP"]
)
def test_what_is_no_symbol_is_not_taken_for_one(text: str) -> None:
    assert parse_symbol(text) is None


@pytest.mark.req("MKT-01")
@pytest.mark.parametrize(
    ("text", "first_px", "price_increment", "qty_increment", "half_spread"),
    [
        ("EURUSD", 1.1, "0.00001", "1", "0.00005"),
        ("USDJPY", 110.0, "0.001", "1", "0.005"),
        ("BTCUSDT", 23_000.0, "0.01", "0.00001", "5.75"),
        ("XRPETH", 0.0014, "1E-9", "0.00001", "3.50E-7"),
        ("AAPL", 40.0, "0.01", "1", "0.01"),
        ("GOOG", 760.0, "0.01", "1", "0.08"),
    ],
)
def test_increments_and_costs_follow_from_class_and_price(
    text: str, first_px: float, price_increment: str, qty_increment: str, half_spread: str
) -> None:
    instrument = define(parse_symbol(text), "TEST", first_px=first_px)
    assert instrument.price_increment == D(price_increment)
    assert instrument.qty_increment == D(qty_increment)
    assert instrument.half_spread == D(half_spread)


def test_a_half_spread_of_the_settings_overrides_the_rule() -> None:
    instrument = define(parse_symbol("EURUSD"), "TEST", first_px=1.1, half_spreads={"EUR-USD": D("0.0002")})
    assert instrument.half_spread == D("0.0002")
