"""With trading windows, too, the engine that skips slices trades as the plain run; and no new risk is taken outside them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from common.messages import OrderApproved, OrderDenied, PortfolioStep
from common.messages.base import Message
from common.model.enums import DenyCode
from common.model.time import NS_PER_WEEK, from_datetime, to_datetime
from common.model.trading_sessions import session
from common.runtime.settings import load
from research.run import run


def config(windows: dict[str, Any]) -> dict[str, Any]:
    made = load("fx")
    made["market_data"]["symbols"] = []
    made["signals"]["timeframes"] = ["1h", "4h"]
    made["portfolio"]["rebalance_hours"] = 1
    made["risk_guardian"]["windows"] = windows
    made["run"] = {
        "data": "builtin-h1",
        "start_ns": from_datetime(datetime(2017, 3, 1, tzinfo=UTC)),
        "end_ns": from_datetime(datetime(2017, 4, 8, tzinfo=UTC)),
    }
    return made


@pytest.mark.req("REG-12", "RES-02")
@pytest.mark.parametrize(
    "windows",
    [
        {"hours": {"EUR-USD": [7, 8, 13]}},
        {"hours": {"*": [9]}, "zone": "Europe/London", "outside_factor": 0.5},
        {"sessions": {"EUR-USD.ANYTRADING": ["London"]}, "outside_factor": 0.25},
    ],
)
def test_both_engines_trade_the_same_in_windows(windows: dict[str, Any]) -> None:
    quick, plain = run(config(windows)), run(config(windows), plain=True)
    assert (quick.engine, plain.engine) == ("fast", "plain")
    assert quick.digest() == plain.digest()
    assert quick.denied == plain.denied > 0
    assert quick.filled > 0
    assert quick.digest() != run(config({})).digest()


@pytest.mark.req("REG-12")
def test_outside_its_session_an_instrument_is_only_got_out_of() -> None:
    said: list[Message] = []
    run(config({"sessions": {"*": ["London"]}}), watchers=[said.append], plain=True)
    held, outside = 0.0, 0
    for message in said:
        if isinstance(message, OrderApproved):
            order, signed = message.order, float(message.order.signed_qty)
            if session(message.ts_event) != "London":
                outside += 1
                assert held * signed < 0, to_datetime(message.ts_event)
                assert abs(signed) <= abs(held)
            held += signed if order.order_type == "MARKET" else 0.0
    codes = [message.code for message in said if isinstance(message, OrderDenied)]
    assert outside > 0
    assert codes.count(DenyCode.OUTSIDE_WINDOW) > 10


@pytest.mark.req("REG-12")
def test_a_signal_outside_is_left_out_and_not_put_off_until_the_window_opens() -> None:
    """As the walk-forward counts it: what was denied is asked for again only with another target, or at the weekly rebalance."""
    said: list[Message] = []
    made = config({"sessions": {"*": ["London"]}})
    made["portfolio"]["rebalance_hours"] = 168
    run(made, watchers=[said.append], plain=True)
    target, refused, denials = None, None, 0
    for message in said:
        if isinstance(message, PortfolioStep):
            target = message.targets[0].signed_qty if message.targets else target
            if message.orders and refused is not None:
                assert target != refused or message.ts_event % NS_PER_WEEK == 0
            refused = None if message.orders else refused
        elif isinstance(message, OrderDenied) and message.code is DenyCode.OUTSIDE_WINDOW:
            refused, denials = target, denials + 1
    assert denials > 5
