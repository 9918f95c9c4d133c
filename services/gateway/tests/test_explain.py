"""The chain of an order, from rows to sentences."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import messages as m
from common.messages.base import Message
from common.testing import strategies
from common.testing.builders import ORDER_ID, T0, a, envelope
from gateway.explain import chain

pytestmark = pytest.mark.req("PLT-10")


def rows(*said: Message) -> list[dict[str, Any]]:
    """As PostgreSQL gives them."""
    result = []
    for seq, message in enumerate(said, start=1):
        sealed = envelope(message)
        result.append({"seq": seq, **msgspec.structs.asdict(sealed), "data": bytes(sealed.data).decode()})
    return result


def test_a_denied_order_names_the_rule_and_its_numbers() -> None:
    links = chain(ORDER_ID, rows(a(m.PortfolioStep), a(m.OrderDenied)))
    assert [(link["stage"], link["rule"]) for link in links] == [
        ("target", "new signal"),
        ("proposed", "new signal"),
        ("decision", "MAX_NOTIONAL: observed 1041.2, limit 1000; order of 1041.20 USD"),
    ]
    assert links[2]["what"] == "denied: BUY 1000 EUR-USD.ECB STOP_LIMIT at about 1.0412"


def test_only_what_concerns_the_order_is_in_its_chain() -> None:
    other = msgspec.structs.replace(a(m.SignalsStep).signals[0], strategy_id="another")
    foreign = msgspec.structs.replace(a(m.RegimeStep).readings[0], instrument_id="USD-JPY.ECB")
    said = (a(m.RegimeStep, readings=(foreign,)), a(m.SignalsStep, signals=(other,)), a(m.PortfolioStep))
    assert [link["stage"] for link in chain(ORDER_ID, rows(*said))] == ["target", "proposed"]


def test_an_order_of_the_guardian_starts_at_the_ladder_that_asked_for_it() -> None:
    links = chain(ORDER_ID, rows(a(m.MarketSlice), a(m.LadderChanged), a(m.OrderApproved, rule="drawdown level 1")))
    assert [link["stage"] for link in links] == ["tick", "ladder", "decision"]
    assert links[1]["what"] == "ladder drawdown went from level 0 to 1"
    assert links[2]["rule"] == "drawdown level 1"


def test_a_message_of_an_unknown_version_is_left_out() -> None:
    (row,) = rows(a(m.OrderApproved))
    assert chain(ORDER_ID, [{**row, "type": "order.approved.v9"}]) == []


@given(st.lists(strategies.messages(), max_size=5))
def test_whatever_is_on_the_tape_can_be_explained(said: list[Message]) -> None:
    for link in chain(ORDER_ID, rows(*said)):
        assert link["what"]
        assert isinstance(link["rule"], str)
        msgspec.json.encode(link)


def test_numbers_are_written_plainly() -> None:
    (link,) = chain(ORDER_ID, rows(a(m.OrderFilled)))
    assert link["what"] == "BUY 600 at 1.0413, 400 left"
    assert link["ts_event"] == T0
