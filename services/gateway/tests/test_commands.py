"""An order by hand: what a ticket becomes, and which tickets are refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from common.messages.orders import Order
from common.model.enums import OrderType, Regime, Side
from common.model.parties import MANUAL
from common.model.time import NS_PER_HOUR
from gateway.commands import Override, Scope, Ticket
from gateway.problems import UnavailableError

pytestmark = pytest.mark.req("EXE-03", "GTW-03")


def ticket(**changes: Any) -> Ticket:
    return Ticket(**{"instrument_id": "EUR-USD.ECB", "side": "BUY", "qty": "1000", "ref_px": "1.10", **changes})


def orders(made: Ticket) -> tuple[Order, ...]:
    return made.bracket().orders(account="paper", order_id="fx-manual-1", author="ann")


def test_a_plain_ticket_is_one_order_of_nobodys_strategy() -> None:
    (order,) = orders(ticket())
    assert (order.strategy_id, order.side, order.qty, order.parent_id) == (MANUAL, Side.BUY, Decimal(1000), "")
    assert order.reason == "by hand, ann"


def test_a_bracket_gets_out_of_what_it_got_into_and_only_once() -> None:
    made = orders(ticket(stop_loss_px="1.05", take_profit_px="1.20"))
    entry, stop, target = made
    assert [one.order_type for one in made] == [OrderType.MARKET, OrderType.STOP, OrderType.LIMIT]
    assert (stop.stop_px, target.limit_px) == (Decimal("1.05"), Decimal("1.20"))
    for leg in (stop, target):
        assert (leg.side, leg.reduce_only, leg.parent_id) == (Side.SELL, True, entry.client_order_id)
    assert stop.oco_group == target.oco_group != ""


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"order_type": "LIMIT"}, "limit_px"),
        ({"order_type": "STOP_LIMIT", "limit_px": "1.1"}, "stop_px"),
        ({"limit_px": "1.09"}, "limit_px"),  # it would have been bought at any price
        ({"stop_px": "1.09"}, "stop_px"),
        ({"post_only": True}, "post_only"),
        ({"order_type": "LIMIT", "limit_px": "1.1", "post_only": True, "time_in_force": "IOC"}, "post_only"),
        ({"time_in_force": "GTD"}, "time_in_force"),
        ({"order_type": "LIMIT", "limit_px": "1.05", "stop_loss_px": "1.07"}, "stop_loss_px"),  # would fire at once
        ({"reduce_only": True, "stop_loss_px": "1.05"}, "stop_loss_px"),
        ({"stop_loss_px": "1.11"}, "stop_loss_px"),
        ({"take_profit_px": "1.09"}, "take_profit_px"),
        ({"side": "SELL", "stop_loss_px": "1.05"}, "stop_loss_px"),
        ({"qty": "0"}, "qty"),
        ({"qty": "NaN"}, "qty"),
        ({"qty": "1e400"}, "qty"),
    ],
)
def test_a_ticket_that_makes_no_sense_is_refused_by_the_name_of_its_field(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        ticket(**changes)


def test_a_scope_must_name_something() -> None:
    with pytest.raises(ValidationError, match="risk/halt"):
        Scope(halted=True, reason="review")


@pytest.mark.req("REG-08")
def test_hours_of_an_override_need_a_data_time_to_begin_at() -> None:
    override = Override(regime=Regime.CRISIS, hours=2, reason="outage")
    assert override.expires_ns(1) == 1 + 2 * NS_PER_HOUR
    with pytest.raises(UnavailableError, match="no price has come yet"):
        override.expires_ns(0)
    assert Override(regime=None, reason="over").expires_ns(0) > 0  # lifting needs none
