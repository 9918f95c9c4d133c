"""What a WebSocket client hears."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import messages as m
from common.messages.base import Envelope, Message
from common.messages.market_data import Bar
from common.testing import strategies
from common.testing.builders import EUR_USD, a, envelope
from gateway.stream import MAX_EVENTS, MAX_WAITING, TOPICS, Client, Hub, Outbox

pytestmark = pytest.mark.req("GTW-02")


def heard(*said: Message) -> dict[str, Any]:
    outbox = Outbox()
    for seq, message in enumerate(said, start=1):
        outbox.add(seq, envelope(message), message)
    frames = {topic: msgspec.json.decode(frame) for topic, frame in outbox.drain().items()}
    assert outbox.drain() == {}
    return frames


def test_of_many_prices_only_the_newest_is_sent() -> None:
    slices = [a(m.MarketSlice, step=step, quotes=(), bars=(a(Bar, close=float(step)),)) for step in (1, 2, 3)]
    frame = heard(*slices)["prices"]
    assert (frame["seq"], frame["data"]) == (3, {EUR_USD: 3.0})


def test_every_fill_is_sent_in_order_and_what_does_not_fit_is_counted() -> None:
    fills = [a(m.OrderFilled, fill_id=str(place)) for place in range(MAX_EVENTS + 5)]
    frame = heard(*fills)["trades"]
    assert [one["fill_id"] for one in frame["data"]] == [str(place) for place in range(5, MAX_EVENTS + 5)]
    assert frame["skipped"] == 5


def test_a_halt_is_a_state_of_risk_and_an_alert() -> None:
    frames = heard(a(m.TradingStateChanged))
    assert frames["risk"]["data"]["trading_state"]["state"] == "HALTED"
    assert frames["alerts"]["data"][0]["reason"] == "drill"


@given(st.lists(strategies.messages(), max_size=5))
def test_whatever_is_said_can_be_sent(said: list[Message]) -> None:
    assert set(heard(*said)) <= set(TOPICS)


async def test_a_client_that_does_not_keep_up_is_dropped_and_the_others_are_not() -> None:
    hub, slow, quick, deaf = Hub(1000), Client(TOPICS), Client(TOPICS), Client(["alerts"])
    hub.clients |= {slow, quick, deaf}
    running = asyncio.create_task(hub.run())
    received = 0
    for _ in range(MAX_WAITING + 1):
        hub.heard(1, envelope(a(m.RegimeStep)), a(m.RegimeStep))
        assert await asyncio.wait_for(quick.waiting.get(), 5)
        received += 1
    running.cancel()
    assert received == MAX_WAITING + 1
    assert hub.clients == {quick, deaf}
    assert deaf.waiting.empty()
    waiting = [slow.waiting.get_nowait() for _ in range(slow.waiting.qsize())]
    assert waiting[-1] is None


async def test_who_comes_after_a_while_without_listeners_hears_what_time_it_is_now() -> None:
    hub, early, late = Hub(1000), Client(TOPICS), Client(TOPICS)
    hub.clients.add(early)
    hub.heard(1, *_said(a(m.MarketSlice, ts_event=100)))
    hub.clients.discard(early)
    hub.heard(2, *_said(a(m.MarketSlice, ts_event=200)))
    hub.clients.add(late)
    hub.heard(3, *_said(a(m.TradingStateChanged)))
    running = asyncio.create_task(hub.run())
    frame = msgspec.json.decode(await asyncio.wait_for(late.waiting.get(), 5))
    running.cancel()
    assert (frame["seq"], frame["ts_event"]) == (3, 200)


def _said(message: Message) -> tuple[Envelope, Message]:
    return envelope(message), message
