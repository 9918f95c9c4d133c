"""The adapter of the reference venue: HTTP for requests, a WebSocket for reports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec

from common.messages.orders import Order
from common.messages.venue import (
    Accepted,
    Amended,
    AmendRefused,
    Canceled,
    CancelRefused,
    NotFound,
    NotReceived,
    OutcomeUnknown,
    Rejected,
    Report,
    Request,
    Status,
    VenueSnapshot,
)
from common.runtime.tape import Fence
from execution.adapters import translate
from execution.adapters.cancels import Cancels
from execution.adapters.http_link import Answered, HttpLink, Kind, NotSent, Outcome
from execution.adapters.report_stream import ReportStream
from execution.adapters.venue import Connection, Heard
from execution.adapters.wire import CancelOrders, WireAccount, WireCancel, WireError, WireOrder, WireReport
from execution.venue_settings import REFERENCE, VenueSettings

_NOT_FOUND: Final = 404
_DUPLICATE: Final = 409
_RESYNC_TRIES: Final = 4
_RESYNC_AT_ONCE: Final = 10
_CANCELS_AT_ONCE: Final = 50
T = TypeVar("T")


class RestVenue:
    """A `Venue`. `open_orders` are those whose end has not been heard of: when reports may have been missed, they are asked
    for one by one.
    """

    name = REFERENCE

    def __init__(self, settings: VenueSettings, fence: Fence) -> None:
        self.open_orders: dict[str, str] = {}  # instrument by client order id
        self._sending: dict[str, bool] = {}  # whether it is still wanted, by client order id
        self._cancels = Cancels(self._cancel, most=_CANCELS_AT_ONCE)
        self._link = HttpLink(settings, fence, self._connection_changed)
        self._stream = ReportStream(
            settings, heard=self._on_report, resync=self._resync, changed=lambda reason: self._connection_changed()
        )
        self._heard: Heard | None = None
        self._said: Connection | None = None
        self._pause_s = settings.reconnect_s

    async def listen(self, heard: Heard) -> None:
        self._heard = heard
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._stream.run())
                tasks.create_task(self._link.probe("/ping"))
        finally:
            self._heard = None
            self._unwant(list(self._sending))

    async def close(self) -> None:
        await self._link.close()

    # --- requests ------------------------------------------------------------------------------------

    async def send(self, order: Order) -> Report:
        order_id = order.client_order_id
        self.open_orders[order_id] = order.instrument_id  # before: its reports may be faster than the answer
        self._sending[order_id] = True
        try:
            report = self._read_send(order_id, await self._post(order))
        finally:
            self._sending.pop(order_id, None)
        if isinstance(report, NotReceived | Rejected):
            self.open_orders.pop(order_id, None)
        return report

    async def cancel(self, client_order_id: str, venue_order_id: str, instrument_id: str) -> Report:
        self._unwant([client_order_id])
        return await self._cancels.ask(client_order_id)

    async def amend(self, order: Order, venue_order_id: str) -> Report:
        order_id = order.client_order_id
        body = msgspec.json.encode(translate.new_terms(order))
        answer = await self._link.ask(_kind(order), "PATCH", _path(order_id), body)
        if not isinstance(answer, Answered):
            return _failed(order_id, Request.AMEND, answer)
        if answer.status >= 400:
            return AmendRefused(client_order_id=order_id, reason=_why(answer))
        known = _decoded(answer, WireOrder)
        if known is None:
            return _garbled(order_id, Request.AMEND)
        terms = known.terms
        return Amended(client_order_id=order_id, qty=terms.qty, limit_px=terms.limit_px, stop_px=terms.stop_px)

    async def query(self, client_order_id: str, instrument_id: str) -> Report:
        answer = await self._link.ask(Kind.QUESTION, "GET", _path(client_order_id))
        if not isinstance(answer, Answered):
            return _failed(client_order_id, Request.QUERY, answer)
        if answer.status == _NOT_FOUND:
            return NotFound(client_order_id=client_order_id)
        known = _decoded(answer, WireOrder) if answer.status < 400 else None
        if known is None:
            return OutcomeUnknown(client_order_id=client_order_id, request=Request.QUERY, reason=_why(answer))
        if not known.status.working:
            self.open_orders.pop(client_order_id, None)
        return translate.status(known)

    async def snapshot(self, number: int, ts_event: int) -> VenueSnapshot | None:
        account = await self._account()
        return translate.snapshot(account, number, ts_event) if account else None

    async def cancel_all(self) -> bool:
        self._unwant(list(self._sending))
        answer = await self._link.insist("DELETE", "/orders")
        return isinstance(answer, Answered) and answer.status < 400

    async def _post(self, order: Order) -> Outcome:
        body, order_id = msgspec.json.encode(translate.new_order(order)), order.client_order_id
        return await self._link.ask(_kind(order), "POST", "/orders", body, wanted=lambda: self._sending[order_id])

    def _unwant(self, order_ids: Sequence[str]) -> None:
        """What still waits here to be sent is not sent any more."""
        self._sending.update((order_id, False) for order_id in order_ids if order_id in self._sending)

    async def _cancel(self, order_ids: Sequence[str]) -> dict[str, Report]:
        if len(order_ids) == 1:
            return {order_ids[0]: await self._cancel_one(order_ids[0])}
        body = msgspec.json.encode(CancelOrders(client_order_ids=tuple(order_ids)))
        answer = await self._link.ask(Kind.CANCEL, "POST", "/orders/cancel", body)
        found = _decoded(answer, tuple[WireCancel, ...]) if isinstance(answer, Answered) and answer.status < 400 else ()
        known = {one.client_order_id: one.error for one in found or ()}
        return {name: self._read_cancel(name, answer, known) for name in order_ids}

    async def _cancel_one(self, client_order_id: str) -> Report:
        answer = await self._link.ask(Kind.CANCEL, "DELETE", _path(client_order_id))
        understood = isinstance(answer, Answered) and _decoded(answer, WireOrder) is not None
        return self._read_cancel(client_order_id, answer, {client_order_id: None} if understood else {})

    # --- what is heard -------------------------------------------------------------------------------

    async def _on_report(self, report: WireReport) -> None:
        if report.status.working:
            self.open_orders[report.client_order_id] = report.instrument_id
        else:
            self.open_orders.pop(report.client_order_id, None)
        await self._tell(translate.report(report))

    async def _resync(self) -> bool:
        """Asks for every order that is open, here or there. NotFound is not passed on: its request may be under way."""
        account = await self._patiently(self._account)
        if account is None:
            return False
        for order in account.orders:
            self.open_orders[order.terms.client_order_id] = order.terms.instrument_id
        orders = list(self.open_orders)
        batches = [orders[start : start + _RESYNC_AT_ONCE] for start in range(0, len(orders), _RESYNC_AT_ONCE)]
        return all([all(await asyncio.gather(*map(self._resync_order, batch))) for batch in batches])

    async def _resync_order(self, order_id: str) -> bool:
        found = await self._patiently(partial(self._known, order_id))
        if isinstance(found, Status):
            await self._tell(found)
        return found is not None

    async def _patiently(self, ask: Callable[[], Awaitable[T | None]]) -> T | None:
        """Asking changes nothing, so it may be repeated here."""
        for _ in range(_RESYNC_TRIES):
            if (found := await ask()) is not None:
                return found
            await asyncio.sleep(self._pause_s)
        return None

    async def _known(self, order_id: str) -> Status | NotFound | None:
        """None when that could not be learned."""
        found = await self.query(order_id, self.open_orders.get(order_id, ""))
        return found if isinstance(found, Status | NotFound) else None

    async def _connection_changed(self) -> None:
        stream, breaker = self._stream, self._link.breaker
        reason = stream.reason or ("" if breaker.passes() else f"{breaker.failures} failures in a row")
        now = Connection(stream.connected, not breaker.passes(), breaker.failures, reason)
        if self._said is None or now[:2] != self._said[:2]:
            self._said = now
            await self._tell(now)

    async def _tell(self, what: Report | Connection) -> None:
        if self._heard is not None:
            await self._heard(what)

    # --- reading answers -----------------------------------------------------------------------------

    async def _account(self) -> WireAccount | None:
        answer = await self._link.ask(Kind.QUESTION, "GET", "/account")
        return _decoded(answer, WireAccount) if isinstance(answer, Answered) and answer.status < 400 else None

    def _read_cancel(self, order_id: str, answer: Outcome, known: dict[str, WireError | None]) -> Report:
        """`known` is what the venue says of each order in an answer that is not a refusal as a whole."""
        if not isinstance(answer, Answered):
            return _failed(order_id, Request.CANCEL, answer)
        if answer.status >= 400:
            return CancelRefused(client_order_id=order_id, reason=_why(answer))
        if order_id not in known:
            return _garbled(order_id, Request.CANCEL)
        if (error := known[order_id]) is not None:
            return CancelRefused(client_order_id=order_id, reason=f"{error.code}: {error.reason}")
        self.open_orders.pop(order_id, None)
        return Canceled(client_order_id=order_id, reason="canceled on request")

    def _read_send(self, order_id: str, answer: Outcome) -> Report:
        if not isinstance(answer, Answered):
            return _failed(order_id, Request.SEND, answer)
        if answer.status == _DUPLICATE:  # sent by a former life of ours: how it stands now a query tells
            return OutcomeUnknown(client_order_id=order_id, request=Request.SEND, reason=_why(answer))
        if answer.status >= 400:
            return Rejected(client_order_id=order_id, reason=_why(answer))
        known = _decoded(answer, WireOrder)
        if known is None:
            return _garbled(order_id, Request.SEND)
        return Accepted(client_order_id=order_id, venue_order_id=known.order_id)


def _kind(order: Order) -> Kind:
    return Kind.EXIT if order.reduce_only else Kind.ORDER


def _path(client_order_id: str) -> str:
    return f"/orders/{quote(client_order_id, safe='')}"


def _failed(order_id: str, request: Request, outcome: Outcome) -> Report:
    match outcome:
        case NotSent(reason, retry_after_s, held_back):
            return NotReceived(
                client_order_id=order_id,
                request=request,
                reason=reason,
                retry_after_s=round(retry_after_s, 3),
                held_back=held_back,
            )
        case _:
            return OutcomeUnknown(client_order_id=order_id, request=request, reason=getattr(outcome, "reason", ""))


def _garbled(order_id: str, request: Request) -> OutcomeUnknown:
    return OutcomeUnknown(client_order_id=order_id, request=request, reason="the answer cannot be read")


def _decoded(answer: Answered, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.MsgspecError:
        return None


def _why(answer: Answered) -> str:
    error = _decoded(answer, WireError)
    return f"{error.code}: {error.reason}" if error else f"HTTP {answer.status}"
