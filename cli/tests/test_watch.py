"""What the terminal shows of a tape."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from rich.console import Console

from ballast_cli.explain import in_words
from ballast_cli.watch import EVENTS_SHOWN, View
from common.messages import MESSAGES
from common.messages.market_data import Bar, MarketSlice
from common.messages.orders import ExecutionStep, OrderDenied, OrderFilled
from common.messages.regime import RegimeReading, RegimeStep
from common.messages.risk import RiskStep, TradingStateChanged
from common.model.enums import DenyCode, Regime, Side, TradingState, VolState
from common.model.ledger import Position
from common.model.time import Timeframe
from common.testing.builders import EUR_USD, T0, a


def shown(view: View) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(view.render())
    return console.file.getvalue()  # type: ignore[attr-defined]


def slice_at(close: float, step: int = 1) -> MarketSlice:
    return a(MarketSlice, step=step, bars=(a(Bar, instrument_id=EUR_USD, close=close, base=True),))


def test_before_the_first_price_it_says_that_it_waits() -> None:
    text = shown(View("http://127.0.0.1:8000"))

    assert "waiting for the first prices" in text
    assert "http://127.0.0.1:8000" in text
    assert "Ctrl-C stops" in text


def test_it_can_show_every_message_there_is() -> None:
    view = View("")

    for message in MESSAGES:
        view.see(a(message))
        assert shown(view)


def test_it_shows_price_direction_regime_position_and_risk() -> None:
    view = View("")
    view.see(slice_at(1.05, step=1))
    view.see(slice_at(1.04, step=2))
    reading = a(
        RegimeReading, instrument_id=EUR_USD, timeframe=Timeframe.D1, regime=Regime.RANGING, vol_state=VolState.STRESS
    )
    view.see(a(RegimeStep, readings=(reading,)))
    view.see(a(ExecutionStep, positions=(a(Position, instrument_id=EUR_USD, signed_qty=Decimal(-12_500)),)))
    view.see(a(RiskStep, trading_state=TradingState.REDUCING, equity=Decimal("98765.432"), drawdown=0.0123))

    text = shown(view)

    assert "2017-01-03 14:00" in text.replace("T", " ")
    for words in (EUR_USD, "1.04000", "▼", "-12,500", f"{Regime.RANGING} 1d, STRESS", "98,765.43", "1.23%", "REDUCING"):
        assert words in text, words


def test_a_closed_position_is_no_longer_shown() -> None:
    view = View("")
    view.see(slice_at(1.05))
    view.see(a(ExecutionStep, positions=(a(Position, instrument_id=EUR_USD, signed_qty=Decimal(12_500)),)))
    assert "12,500" in shown(view)

    view.see(a(ExecutionStep, positions=()))
    assert "12,500" not in shown(view)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            a(OrderFilled, side=Side.SELL, last_qty=Decimal(1000), last_px=Decimal("1.0412")),
            ("filled", "SELL 1,000", "at 1.0412"),
        ),
        (
            a(OrderDenied, code=DenyCode.PRICE_COLLAR, observed=Decimal("0.03"), limit=Decimal("0.02")),
            ("denied", "PRICE_COLLAR, 0.03 against 0.02"),
        ),
        (a(TradingStateChanged, state=TradingState.HALTED, reason="drill"), ("trading HALTED: drill",)),
    ],
)
def test_an_event_is_shown_with_its_reason(message: OrderFilled, words: tuple[str, ...]) -> None:
    view = View("")
    view.see(message)

    assert all(word in shown(view) for word in words), shown(view)


def test_only_the_latest_events_stay() -> None:
    view = View("")
    for number in range(EVENTS_SHOWN + 5):
        view.see(a(TradingStateChanged, ts_event=T0, reason=f"drill {number:02}"))

    text = shown(view)

    assert "drill 04" not in text
    assert all(f"drill {number:02}" in text for number in range(5, EVENTS_SHOWN + 5))


@pytest.mark.req("PLT-10")
def test_the_chain_of_an_order_is_a_line_per_link_even_where_two_were_said_at_once() -> None:
    link = {"seq": 3, "ts_event": 1_483_452_900_000_000_000, "stage": "signal", "what": "A wants LONG", "rule": "above"}
    order = {"client_order_id": "fx-1", "state": "FILLED", "cum_qty": "5", "qty": "5"}
    assert in_words({"order": order, "chain": [link, {**link, "what": "B wants FLAT", "rule": "below"}]}) == [
        "2017-01-03T14:15  signal    A wants LONG  [above]",
        "2017-01-03T14:15  signal    B wants FLAT  [below]",
        "fx-1: FILLED, 5 of 5 filled",
    ]
