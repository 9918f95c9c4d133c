"""What every venue adapter must do, one for one: the paper venue and the reference venue pass the same tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import msgspec
import pytest
import pytest_asyncio
from support.venues import DESKS, Desk, order, traded_qty, trades

from common.messages.venue import (
    Accepted,
    Amended,
    AmendRefused,
    Canceled,
    CancelRefused,
    Expired,
    NotFound,
    Rejected,
    Status,
)
from common.model.enums import TimeInForce
from common.testing.builders import EUR_USD, T0

pytestmark = pytest.mark.req("EXE-01", "EXE-03")
HOUR = 3_600_000_000_000


@pytest_asyncio.fixture(params=sorted(DESKS))
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    async with DESKS[request.param]() as one:
        yield one


async def status(desk: Desk, client_order_id: str = "o1") -> Status:
    found = await desk.venue.query(client_order_id, EUR_USD)
    assert isinstance(found, Status)
    return found


async def test_a_market_order_is_accepted_and_trades_in_full(desk: Desk):
    answer = await desk.venue.send(order())
    await desk.move("1.1")
    assert isinstance(answer, Accepted)
    assert answer.venue_order_id
    [trade] = trades(desk.heard)
    assert (trade.last_qty, trade.last_px) == (Decimal(100), Decimal("1.1"))
    found = await status(desk)
    assert (found.working, found.final, found.trades) == (False, "FILLED", (trade,))


@pytest.mark.parametrize("meanwhile", ["working", "over"])
async def test_an_id_sent_twice_is_one_order(desk: Desk, meanwhile: str):
    first = order(limit="1.05") if meanwhile == "working" else order()
    await desk.venue.send(first)
    if meanwhile == "over":
        await desk.move("1.1")
    again = await desk.venue.send(first)
    await desk.move("1.0")
    await desk.move("1.2")
    assert not isinstance(again, Rejected), "it would be final, and the order trades"
    assert traded_qty(desk.heard) == 100


async def test_a_limit_rests_until_the_market_comes_through_and_trades_no_worse(desk: Desk):
    await desk.venue.send(order(limit="1.05"))
    await desk.move("1.06")
    assert (await status(desk)).working
    assert not trades(desk.heard)
    await desk.move("1.04")
    [trade] = trades(desk.heard)
    assert trade.last_px <= Decimal("1.05")
    assert (await status(desk)).final == "FILLED"


async def test_a_stop_sleeps_until_it_is_reached(desk: Desk):
    await desk.venue.send(order(signed_qty=-100, stop="1.05"))
    await desk.move("1.08")
    assert not trades(desk.heard)
    await desk.move("1.04")
    await desk.move("1.04")
    [trade] = trades(desk.heard)
    assert (trade.last_qty, trade.last_px) == (Decimal(100), Decimal("1.04"))


async def test_a_stop_limit_rests_at_its_limit_once_the_stop_was_reached(desk: Desk):
    await desk.venue.send(order(stop="1.12", limit="1.13"))
    await desk.move("1.14")
    await desk.move("1.15")
    assert (await status(desk)).working
    assert not trades(desk.heard)
    await desk.move("1.125")
    [trade] = trades(desk.heard)
    assert trade.last_px <= Decimal("1.13")


async def test_a_canceled_order_trades_no_more(desk: Desk):
    await desk.venue.send(order(limit="1.05"))
    answer = await desk.venue.cancel("o1", (await status(desk)).venue_order_id, EUR_USD)
    await desk.move("1.0")
    assert isinstance(answer, Canceled)
    assert not trades(desk.heard)
    assert ((await status(desk)).working, (await status(desk)).final) == (False, "CANCELED")


async def test_many_cancels_at_once_have_an_answer_each(desk: Desk):
    """What an emergency stop asks for: only these orders, whatever else works."""
    names = [f"o{number}" for number in range(60)]
    for name in (*names, "spared"):
        await desk.venue.send(order(name, limit="1.05"))
    asked = [*names[:30], "never sent", *names[30:]]
    answers = await asyncio.gather(*(desk.venue.cancel(name, "", EUR_USD) for name in asked))
    assert [answer.client_order_id for answer in answers] == asked
    refused = [answer for answer in answers if not isinstance(answer, Canceled)]
    assert [type(answer) for answer in refused] == [CancelRefused]
    assert [(await status(desk, name)).final for name in names] == ["CANCELED"] * 60
    assert (await status(desk, "spared")).working


async def test_what_does_not_work_cannot_be_canceled_or_amended(desk: Desk):
    await desk.venue.send(order())
    await desk.move("1.1")
    for name in ("o1", "never sent"):
        assert isinstance(await desk.venue.cancel(name, "", EUR_USD), CancelRefused)
        assert isinstance(await desk.venue.amend(order(name, limit="1.0"), ""), AmendRefused)


async def test_an_amended_order_trades_by_its_new_terms(desk: Desk):
    first = order(limit="1.0")
    await desk.venue.send(first)
    new = msgspec.structs.replace(first, qty=Decimal(40), limit_px=Decimal("1.05"))
    answer = await desk.venue.amend(new, (await status(desk)).venue_order_id)
    await desk.move("1.04")
    assert answer == Amended(client_order_id="o1", qty=Decimal(40), limit_px=Decimal("1.05"))
    assert traded_qty(desk.heard) == 40
    assert (await status(desk)).final == "FILLED"


async def test_of_an_order_it_never_got_the_venue_knows_nothing(desk: Desk):
    assert await desk.venue.query("never sent", EUR_USD) == NotFound(client_order_id="never sent")


@pytest.mark.parametrize("kind", [TimeInForce.IOC, TimeInForce.FOK])
async def test_an_order_for_now_or_never_does_not_rest(desk: Desk, kind: TimeInForce):
    await desk.venue.send(order(limit="1.05", time_in_force=kind))
    await desk.move("1.1")
    await desk.move("1.0")
    assert not trades(desk.heard)
    assert (await status(desk)).final == "CANCELED"


async def test_an_order_good_till_a_date_expires_then(desk: Desk):
    await desk.venue.send(order(limit="1.05", time_in_force=TimeInForce.GTD, expire_ns=T0 + HOUR))
    await desk.move("1.1", T0 + HOUR // 2)
    assert (await status(desk)).working
    await desk.move("1.1", T0 + HOUR)
    assert any(isinstance(report, Expired) for report in desk.heard)
    assert (await status(desk)).final == "EXPIRED"


async def test_a_reduce_only_order_never_opens_or_flips(desk: Desk):
    await desk.venue.send(order("open", 100))
    await desk.move("1.1")
    await desk.venue.send(order("exit", -300, reduce_only=True))
    await desk.move("1.1")
    await desk.venue.send(order("late", -50, reduce_only=True))
    await desk.move("1.1")
    assert traded_qty(desk.heard, "exit") == 100
    assert not trades(desk.heard, "late")
    assert not (await status(desk, "exit")).working
    snapshot = await desk.venue.snapshot(1, T0)
    assert snapshot is not None
    assert snapshot.positions == {}


async def test_a_post_only_order_never_takes(desk: Desk):
    await desk.venue.send(order(limit="1.2", post_only=True))
    await desk.move("1.1")
    await desk.move("1.0")
    assert not trades(desk.heard)
    assert not any(o.client_order_id == "o1" for o in (await desk.venue.snapshot(1, T0)).orders)


async def test_a_post_only_order_that_rests_makes(desk: Desk):
    await desk.venue.send(order(limit="1.05", post_only=True))
    await desk.move("1.08")
    await desk.move("1.04")
    [trade] = trades(desk.heard)
    assert (trade.maker, trade.last_px) == (True, Decimal("1.05"))


async def test_a_snapshot_tells_orders_positions_and_trades(desk: Desk):
    await desk.venue.send(order("a", 100))
    await desk.venue.send(order("b", -30, limit="1.3"))
    await desk.move("1.1")
    snapshot = await desk.venue.snapshot(7, T0)
    assert snapshot is not None
    assert (snapshot.number, snapshot.ts_event) == (7, T0)
    assert snapshot.positions == {EUR_USD: Decimal(100)}
    assert [(o.client_order_id, o.signed_leaves_qty) for o in snapshot.orders] == [("b", Decimal(-30))]
    assert list(snapshot.trades) == trades(desk.heard, "a")


async def test_cancel_all_leaves_nothing_at_work(desk: Desk):
    for number in range(5):
        await desk.venue.send(order(f"o{number}", limit="1.05"))
    assert await desk.venue.cancel_all()
    await desk.move("1.0")
    snapshot = await desk.venue.snapshot(1, T0)
    assert snapshot is not None
    assert (snapshot.orders, snapshot.trades) == ((), ())
