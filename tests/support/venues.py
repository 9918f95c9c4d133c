"""Venues to test against: one surface over the paper venue and over the reference venue's adapter."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any, Protocol

import httpx
import msgspec

from common.messages.market_data import MarketSlice, Quote
from common.messages.orders import Order
from common.messages.venue import Amended, NotFound, Report, Status, Traded, VenueOrder, VenueSnapshot
from common.model.enums import OrderType, Side, TimeInForce
from common.model.instrument import Instrument
from common.model.money import ZERO
from common.testing.builders import EUR_USD, T0, a
from execution.adapters.paper_venue import PaperBook, PaperVenue
from execution.adapters.rest import RestVenue
from execution.adapters.venue import Connection, Heard, Venue
from execution.reference_venue.app import ReferenceVenue
from execution.reference_venue.behavior import Behavior, Rule
from execution.reference_venue.exchange import Exchange
from execution.reference_venue.server import serving
from execution.settings import Settings
from execution.venue_settings import VenueSettings

INSTRUMENT = a(Instrument)
QUICK = VenueSettings(
    request_timeout_s=0.3,
    connect_timeout_s=0.3,
    rate_per_s=10_000,
    burst=10_000,
    max_failures=50,
    cool_down_s=0.1,
    reconnect_s=0.02,
    max_reconnect_s=0.1,
)


class Holder:
    """A fence: the token is what a test says it is."""

    def __init__(self, token: int | None = 1) -> None:
        self.now = token

    def token(self) -> int | None:
        return self.now


class Desk(Protocol):
    """A venue, what has been heard of it, and its market."""

    venue: Venue
    heard: list[Report]

    async def move(self, px: str, ts_ns: int | None = None) -> None:
        """The market moves there, and what that brings about has been heard."""
        ...


def order(client_order_id: str = "o1", signed_qty: int = 100, **changes: Any) -> Order:
    """A market order unless prices make it something else."""
    limit, stop = changes.pop("limit", None), changes.pop("stop", None)
    kinds = {
        (False, False): OrderType.MARKET,
        (True, False): OrderType.LIMIT,
        (False, True): OrderType.STOP,
        (True, True): OrderType.STOP_LIMIT,
    }
    plain: dict[str, Any] = {
        "side": Side.BUY if signed_qty > 0 else Side.SELL,
        "qty": Decimal(abs(signed_qty)),
        "order_type": kinds[limit is not None, stop is not None],
        "limit_px": None if limit is None else Decimal(limit),
        "stop_px": None if stop is None else Decimal(stop),
        "time_in_force": TimeInForce.GTC,
        "expire_ns": None,
        "reduce_only": False,
        "post_only": False,
        "parent_id": "",
        "oco_group": "",
    }
    return a(Order, client_order_id=client_order_id, **{**plain, **changes})


def trades(heard: list[Report], client_order_id: str = "o1") -> list[Traded]:
    """Every execution once, however often it was heard."""
    found = {
        report.trade_id: report
        for report in heard
        if isinstance(report, Traded) and report.client_order_id == client_order_id
    }
    return list(found.values())


def traded_qty(heard: list[Report], client_order_id: str = "o1") -> Decimal:
    return sum((trade.last_qty for trade in trades(heard, client_order_id)), ZERO)


async def until(true: Callable[[], bool], what: str, within_s: float = 5.0, pause_s: float = 0.005) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(pause_s)


class PaperAdapter:
    """The paper venue as a `Venue`: what it was asked stays here, because a paper book forgets what is over."""

    name = "paper"

    def __init__(self) -> None:
        self.book = PaperBook()
        self.heard: list[Report] = []
        self.venue: Venue = self
        self._settings = Settings(latency_ms=0, taker_bps=0, maker_bps=0)
        self._paper = PaperVenue(self._settings)
        self._ts = T0
        self._orders: dict[str, Order] = {}

    async def move(self, px: str, ts_ns: int | None = None) -> None:
        self._ts = ts_ns if ts_ns is not None else self._ts + 1_000_000_000
        quote = Quote(instrument_id=EUR_USD, bid=float(px), ask=float(px), bid_size=1e9, ask_size=1e9)
        market = MarketSlice(ts_event=self._ts, book="fx", step=1, quotes=(quote,))
        self.heard += self._paper.trade(self.book, market, {EUR_USD: INSTRUMENT}, self._settings.fees)

    async def listen(self, heard: Heard) -> None:
        await heard(Connection(connected=True, breaker_open=False, failures=0, reason=""))
        await asyncio.Event().wait()

    async def send(self, order: Order) -> Report:
        self._orders.setdefault(order.client_order_id, order)
        if order.client_order_id not in self.book.orders and self._ended(order.client_order_id):
            return await self.query(order.client_order_id, order.instrument_id)
        return self._keep(self._paper.send(self.book, order, self._ts))

    async def cancel(self, client_order_id: str, venue_order_id: str, instrument_id: str) -> Report:
        return self._keep(self._paper.cancel(self.book, client_order_id, "on request"))

    async def amend(self, order: Order, venue_order_id: str) -> Report:
        answer = self._paper.amend(self.book, order, self._ts)
        if isinstance(answer, Amended):
            self._orders[order.client_order_id] = order
        return answer

    async def query(self, client_order_id: str, instrument_id: str) -> Report:
        if client_order_id not in self._orders:
            return NotFound(client_order_id=client_order_id)
        working = client_order_id in self.book.orders
        return Status(
            client_order_id=client_order_id,
            venue_order_id="",
            working=working,
            final="" if working else self._ended(client_order_id),
            trades=tuple(trades(self.heard, client_order_id)),
        )

    async def snapshot(self, number: int, ts_event: int) -> VenueSnapshot | None:
        return VenueSnapshot(
            ts_event=ts_event,
            number=number,
            orders=tuple(
                VenueOrder(
                    client_order_id=name,
                    venue_order_id=working.venue_order_id,
                    instrument_id=EUR_USD,
                    signed_leaves_qty=working.leaves_qty * working.order.side.sign,
                )
                for name, working in self.book.orders.items()
            ),
            positions={name: qty for name, qty in self.book.positions.items() if qty},
            cash={},
            trades=tuple(report for report in self.heard if isinstance(report, Traded)),
        )

    async def cancel_all(self) -> bool:
        for name in list(self.book.orders):
            await self.cancel(name, "", EUR_USD)
        return True

    async def close(self) -> None:
        return

    def _keep(self, report: Report) -> Report:
        self.heard.append(report)
        return report

    def _ended(self, client_order_id: str) -> str:
        ends = {"Canceled": "CANCELED", "Expired": "EXPIRED", "Rejected": "REJECTED"}
        for report in self.heard:
            if report.client_order_id == client_order_id and type(report).__name__ in ends:
                return ends[type(report).__name__]
        over = traded_qty(self.heard, client_order_id) >= self._orders[client_order_id].qty
        return "FILLED" if over else ""


class ReferenceDesk:
    """The reference venue, served in this event loop, and its adapter, connected."""

    def __init__(self, reference: ReferenceVenue, url: str, fence: Holder, settings: VenueSettings) -> None:
        self.reference = reference
        self.fence = fence
        self.settings = msgspec.structs.replace(settings, url=url)
        self.rest = RestVenue(self.settings, fence)
        self.venue: Venue = self.rest
        self.heard: list[Report] = []
        self.connections: list[Connection] = []
        self.drill = httpx.AsyncClient(base_url=url)

    async def hear(self, what: Report | Connection) -> None:
        if isinstance(what, Connection):
            self.connections.append(what)
        else:
            self.heard.append(what)

    @property
    def connected(self) -> bool:
        return bool(self.connections) and self.connections[-1].connected

    async def settled(self) -> None:
        """All that the venue has said so far has arrived."""
        stream = self.rest._stream
        await until(lambda: stream.connected and stream._seq >= self.reference.feed.seq, "reports have arrived")

    async def move(self, px: str, ts_ns: int | None = None) -> None:
        body = msgspec.json.encode({"prices": {EUR_USD: px}, "ts_ns": ts_ns})
        assert (await self.drill.put("/prices", content=body)).status_code == 204
        await self.settled()

    async def behave(self, *rules: Rule, **how: Any) -> None:
        """As told; with no rules, well."""
        body = msgspec.json.encode(Behavior(rules=list(rules), **{"hold_s": 0.35, "slow_s": 0.05, **how}))
        assert (await self.drill.put("/behavior", content=body)).status_code == 204

    async def audit(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.drill.get("/audit")).json()
        return found


@contextlib.asynccontextmanager
async def reference_desk(settings: VenueSettings = QUICK, *, listen: bool = True) -> AsyncIterator[ReferenceDesk]:
    """With a price of 1.1 and 100,000 USD."""
    reference = ReferenceVenue(Exchange({"USD": Decimal(100_000)}), heartbeat_s=0.05)
    reference.exchange.move({EUR_USD: Decimal("1.1")})
    async with serving(reference) as url:
        desk = ReferenceDesk(reference, url, Holder(), settings)
        listening = asyncio.create_task(desk.rest.listen(desk.hear)) if listen else None
        try:
            if listen:
                await until(lambda: desk.connected, "the report stream is open")
            yield desk
        finally:
            if listening:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
            await desk.rest.close()
            await desk.drill.aclose()


@contextlib.asynccontextmanager
async def paper_desk() -> AsyncIterator[PaperAdapter]:
    desk = PaperAdapter()
    await desk.move("1.1")
    yield desk


DESKS: dict[str, Callable[[], contextlib.AbstractAsyncContextManager[Any]]] = {
    "paper": paper_desk,
    "reference": reference_desk,
}
