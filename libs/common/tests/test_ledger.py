"""Cash and positions are the sum of fills, and one currency is worth another only where a price says so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.account import Account
from common.model.instrument import Instrument
from common.model.ledger import Ledger
from common.model.money import Conversion
from common.testing.builders import EUR_USD, a

USD = Conversion("USD", ())
fills = st.tuples(
    st.integers(-500, 500).filter(bool), st.integers(1, 400).map(lambda n: Decimal(n) / 100), st.integers(0, 5)
)


def pair(name: str, **changes: Any) -> Instrument:
    base, quote = name.split("-")
    return a(Instrument, instrument_id=f"{name}.ECB", base=base, quote=quote, **changes)


def booked(*trades: tuple[int, Any, int]) -> Ledger:
    ledger = Ledger()
    for qty, px, commission in trades:
        ledger.apply_fill(a(Instrument), Decimal(qty), Decimal(str(px)), Decimal(commission))
    return ledger


@pytest.mark.req("PFL-01")
@given(st.lists(fills, min_size=1, max_size=30), fills)
def test_equity_changes_by_realized_and_unrealized_profit_less_commission(trades: list[Any], last: Any) -> None:
    ledger, px = booked(*trades), last[1]
    position = ledger.positions[EUR_USD]
    assert position.signed_qty == sum(qty for qty, _, _ in trades)
    equity = ledger.equity({EUR_USD: a(Instrument)}, {EUR_USD: px}, USD)
    unrealized = position.signed_qty * (px - position.avg_px)
    paid = sum(commission for _, _, commission in trades)
    assert equity == pytest.approx(position.realized + unrealized - paid, abs=Decimal("1E-15"))


@pytest.mark.parametrize(
    ("trades", "qty", "avg_px", "realized"),
    [
        ([(100, 1, 0), (300, 2, 0)], 400, "1.75", 0),  # grows: the mean
        ([(100, 1, 0), (-40, 2, 0)], 60, 1, 40),  # shrinks: the entry stays
        ([(100, 1, 0), (-100, 2, 0)], 0, 0, 100),  # flat
        ([(100, 1, 0), (-150, 2, 0)], -50, 2, 100),  # flips: a new entry
        ([(-100, 2, 0), (150, 1, 0)], 50, 1, 100),
        ([(-100, 2, 0), (-100, 4, 0)], -200, 3, 0),
    ],
)
def test_average_entry_and_realized_profit(trades: Any, qty: int, avg_px: Any, realized: int) -> None:
    position = booked(*trades).positions[EUR_USD]
    assert (position.signed_qty, position.avg_px, position.realized) == (qty, Decimal(avg_px), realized)


def test_what_was_never_traded_is_held_at_zero() -> None:
    assert Ledger().qty(EUR_USD) == 0


@pytest.mark.parametrize(
    ("account", "currency", "rate"),
    [
        ("USD", "USD", 1),
        ("USD", "USDT", 1),  # a stablecoin counts as a dollar
        ("USD", "GBP", Decimal("1.25")),
        ("USD", "JPY", Decimal(1) / 100),
        ("USD", "BTC", 20_000),
        ("USD", "CHF", None),
        ("EUR", "USD", Decimal(1) / Decimal("1.1")),
        ("EUR", "USDT", None),
    ],
)
def test_a_rate_comes_from_a_direct_or_an_inverse_price_or_not_at_all(account: str, currency: str, rate: Any) -> None:
    names = ("GBP-USD", "USD-JPY", "BTC-USDT", "EUR-USD", "USD-CHF")
    px = {
        "GBP-USD.ECB": "1.25",
        "USD-JPY.ECB": "100",
        "BTC-USDT.ECB": "20000",
        "EUR-USD.ECB": "1.1",
        "USD-CHF.ECB": "0",
    }
    conversion = Conversion(account, [pair(name) for name in names])
    assert conversion.rate(currency, {name: Decimal(text) for name, text in px.items()}) == rate


def test_equity_is_unknown_while_something_held_has_no_price_or_rate() -> None:
    cross = pair("GBP-CHF")
    ledger = Ledger(cash={"USD": Decimal(50)})
    ledger.apply_fill(cross, Decimal(10), Decimal("1.2"), Decimal(0))
    known, px = {cross.instrument_id: cross}, {cross.instrument_id: Decimal("1.2")}
    assert ledger.equity(known, px, Conversion("USD", [cross])) is None
    assert ledger.exposures(known, px, Conversion("USD", [cross])) == {}
    francs = Conversion("USD", [cross, pair("USD-CHF")])
    both = {**px, "USD-CHF.ECB": Decimal("0.8")}
    assert ledger.equity(known, both, francs) == 50
    assert ledger.exposures(known, both, francs) == {cross.instrument_id: 15}
    assert ledger.equity(known, {"USD-CHF.ECB": Decimal("0.8")}, francs) is None


@pytest.mark.parametrize(
    ("asked", "rounded"), [(1.23456789, "1.23457"), ("1.234565", "1.23456"), (0.1 + 0.2, "0.30000")]
)
def test_prices_round_to_the_nearest_increment(asked: Any, rounded: str) -> None:
    value = Decimal(asked) if isinstance(asked, str) else asked
    assert f"{a(Instrument).round_price(value)}" == rounded


@given(st.decimals(-(10**9), 10**9, places=6), st.sampled_from(["1", "0.01", "0.00001", "25"]))
def test_a_rounded_quantity_is_a_multiple_and_never_larger_than_asked(asked: Decimal, increment: str) -> None:
    step = Decimal(increment)
    rounded = a(Instrument, qty_increment=step).round_qty(asked)
    assert rounded % step == 0
    assert abs(asked) - step < abs(rounded) <= abs(asked)
    assert rounded * asked >= 0


@pytest.mark.parametrize("cash", ["0", "-5", "NaN", "Infinity"])
def test_an_account_starts_with_money(cash: str) -> None:
    with pytest.raises(ValueError, match="Expected a finite amount > 0"):
        Account(starting_cash=Decimal(cash))
