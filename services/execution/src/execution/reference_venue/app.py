"""The reference venue's wire: HTTP for requests, a WebSocket for reports.

| request | meaning |
|---|---|
| `POST /orders` | `NewOrder`; 201 `WireOrder`; 409 with the order when the id was there already; 422 refused |
| `PATCH /orders/{client_order_id}` | `NewTerms`; 200 `WireOrder`; 404, 422 |
| `DELETE /orders/{client_order_id}` | 200 `WireOrder`; 404 unknown, 422 over |
| `DELETE /orders` | all of them |
| `POST /orders/cancel` | `CancelOrders`; 200 and a `WireCancel` for each |
| `GET /orders/{client_order_id}` | 200 `WireOrder`; 404 |
| `GET /account`, `GET /ping` | `WireAccount`; that it is there |
| `WS /reports` | `WireHello`, then `WireReport`s |
| `PUT /prices` | `{"prices": {"EUR-USD": "1.1"}, "ts_ns": …}`: moves the market |
| `PUT /behavior` | `Behavior`: how to misbehave from now on |
| `POST /disconnect` | ends every report stream |
| `GET /audit` | `{"summary": …, "requests": […]}` |

Requests carry `Fencing-Token`, and one lower than the highest seen is refused with 403; and `Valid-Until-Ns`, after which they
are refused with 403, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from common.messages.venue import Request
from execution.adapters.wire import (
    TOKEN_HEADER,
    VALID_UNTIL_HEADER,
    CancelOrders,
    NewOrder,
    NewTerms,
    WireCancel,
    WireError,
)
from execution.reference_venue.audit import Audit, Entry
from execution.reference_venue.behavior import Behavior, Fault
from execution.reference_venue.exchange import Exchange, Refused
from execution.reference_venue.feed import Feed, Line

_BEFORE: Final = (Fault.RATE_LIMIT, Fault.ERROR_BEFORE, Fault.TIMEOUT_BEFORE, Fault.REJECT)
_AFTER: Final = (Fault.TIMEOUT_AFTER, Fault.RESET_AFTER, Fault.ERROR_AFTER, Fault.GARBAGE_AFTER, Fault.SLOW)
_ORDER: Final = "/orders/{client_order_id:path}"
_MISSING: Final = "UNKNOWN_ORDER"
_FOR_EVER: Final = str(2**63)


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    prices: dict[str, Decimal]
    ts_ns: int | None = None


class ReferenceVenue:
    """The exchange behind its wire. `app` is the ASGI application."""

    def __init__(self, exchange: Exchange, heartbeat_s: float = 0.25) -> None:
        self.exchange = exchange
        self._heartbeat_s = heartbeat_s
        self.behavior = Behavior()
        self.audit = Audit()
        self.feed = Feed()
        self.app = Starlette(
            routes=[
                Route("/orders", self._place, methods=["POST"]),
                Route("/orders", self._cancel_all, methods=["DELETE"]),
                Route("/orders/cancel", self._cancel_some, methods=["POST"]),
                Route(_ORDER, self._amend, methods=["PATCH"]),
                Route(_ORDER, self._cancel, methods=["DELETE"]),
                Route(_ORDER, self._show, methods=["GET"]),
                Route("/account", self._account, methods=["GET"]),
                Route("/ping", self._ping, methods=["GET"]),
                Route("/prices", self._set_prices, methods=["PUT"]),
                Route("/behavior", self._set_behavior, methods=["PUT"]),
                Route("/disconnect", self._disconnect, methods=["POST"]),
                Route("/audit", self._show_audit, methods=["GET"]),
                WebSocketRoute("/reports", self._reports),
            ]
        )

    # --- what traders ask ----------------------------------------------------------------------------

    async def _place(self, request: HttpRequest) -> Response:
        terms = msgspec.json.decode(await request.body(), type=NewOrder)

        def place() -> Response:
            known = self.exchange.orders.get(terms.client_order_id)
            if known is not None:
                return _json(409, WireError(code="DUPLICATE_ID", reason="the venue has this order", order=known))
            in_parts = self.behavior.strikes(Fault.IN_PARTS, Request.SEND)
            return _json(201, self.exchange.place(terms, in_parts=in_parts))

        return await self._answer(request, Request.SEND, (terms.client_order_id,), place)

    async def _cancel(self, request: HttpRequest) -> Response:
        order_id = request.path_params["client_order_id"]
        return await self._answer(
            request, Request.CANCEL, (order_id,), lambda: _json(200, self.exchange.cancel(order_id))
        )

    async def _cancel_all(self, request: HttpRequest) -> Response:
        return await self._answer(
            request, Request.CANCEL, ("*",), lambda: _json(200, {"canceled": self.exchange.cancel_all()})
        )

    async def _cancel_some(self, request: HttpRequest) -> Response:
        names = msgspec.json.decode(await request.body(), type=CancelOrders).client_order_ids
        return await self._answer(
            request, Request.CANCEL, names, lambda: _json(200, list(map(self._cancel_one, names)))
        )

    def _cancel_one(self, order_id: str) -> WireCancel:
        try:
            self.exchange.cancel(order_id)
        except Refused as refused:
            return WireCancel(client_order_id=order_id, error=WireError(code=refused.code, reason=refused.reason))
        return WireCancel(client_order_id=order_id)

    async def _amend(self, request: HttpRequest) -> Response:
        order_id = request.path_params["client_order_id"]
        terms = msgspec.json.decode(await request.body(), type=NewTerms)
        return await self._answer(
            request, Request.AMEND, (order_id,), lambda: _json(200, self.exchange.amend(order_id, terms))
        )

    async def _show(self, request: HttpRequest) -> Response:
        order_id = request.path_params["client_order_id"]

        def show() -> Response:
            order = self.exchange.orders.get(order_id)
            return _json(200, order) if order else _json(404, WireError(code=_MISSING, reason=f"no order {order_id}"))

        return await self._answer(request, Request.QUERY, (order_id,), show)

    async def _account(self, request: HttpRequest) -> Response:
        return await self._answer(request, Request.QUERY, ("",), lambda: _json(200, self.exchange.account()))

    async def _ping(self, request: HttpRequest) -> Response:
        return await self._answer(request, Request.QUERY, ("",), lambda: _json(200, {}))

    async def _answer(
        self, request: HttpRequest, kind: Request, order_ids: Sequence[str], act: Callable[[], Response]
    ) -> Response:
        """Does what is asked, or misbehaves; either way it is in the audit, once for each order."""
        token, now = int(request.headers.get(TOKEN_HEADER, "0")), time.monotonic_ns()
        entries = [Entry(at_ns=now, request=kind, client_order_id=name, token=token) for name in order_ids]
        self.audit.entries += entries

        def note(**found: Any) -> None:
            for entry in entries:
                for name, value in found.items():
                    setattr(entry, name, value)

        if not self.audit.admits(token):
            note(status=403)
            reason = f"fencing token {token}, seen was {self.audit.highest_token}"
            return _json(403, WireError(code="STALE_TOKEN", reason=reason))
        if fault := self.behavior.first(_BEFORE, kind):
            note(fault=fault)
            return await self._misbehave(fault)
        if self.behavior.strikes(Fault.ARRIVES_LATE, kind):
            note(fault=Fault.ARRIVES_LATE)
            await asyncio.sleep(self.behavior.hold_s)
        if time.monotonic_ns() > int(request.headers.get(VALID_UNTIL_HEADER, _FOR_EVER)):
            note(status=403)
            return _json(403, WireError(code="TOO_LATE", reason="the request was valid until then"))
        answer = self._act(act)
        note(status=answer.status_code, done=answer.status_code < 400, duplicate=answer.status_code == 409)
        if fault := self.behavior.first(_AFTER, kind):
            note(fault=fault)
            return await self._misbehave(fault, answer)
        return answer

    def _act(self, act: Callable[[], Response]) -> Response:
        try:
            return act()
        except Refused as refused:
            return _json(404 if refused.code == _MISSING else 422, WireError(code=refused.code, reason=refused.reason))
        finally:
            self._publish()

    async def _misbehave(self, fault: Fault, answer: Response | None = None) -> Response:
        behavior = self.behavior
        match fault:
            case Fault.RATE_LIMIT:
                limited = _json(429, WireError(code="RATE_LIMIT", reason="too many requests"))
                limited.headers["Retry-After"] = f"{behavior.retry_after_s:g}"
                return limited
            case Fault.REJECT:
                return _json(422, WireError(code="REJECT", reason="rejected on demand"))
            case Fault.TIMEOUT_BEFORE | Fault.TIMEOUT_AFTER:
                await asyncio.sleep(behavior.hold_s)
            case Fault.SLOW:
                await asyncio.sleep(behavior.slow_s)
                assert answer is not None
                return answer
            case Fault.RESET_AFTER:
                return _Broken()
            case Fault.GARBAGE_AFTER:
                return Response("<html>", status_code=200)
        return _json(500, WireError(code="INTERNAL", reason=fault))

    def _publish(self) -> None:
        reports, self.exchange.reports = self.exchange.reports, []
        self.feed.publish(reports, self.behavior)

    # --- the stream ----------------------------------------------------------------------------------

    async def _reports(self, socket: WebSocket) -> None:
        await socket.accept()
        lines = self.feed.subscribe()
        hangs_up = asyncio.create_task(_hung_up(socket, lines))
        try:
            while (line := await self._next_line(lines)) is not None:
                await socket.send_bytes(line)
            with contextlib.suppress(RuntimeError):  # the other side was faster
                await socket.close()
        except WebSocketDisconnect:
            pass
        finally:
            hangs_up.cancel()
            self.feed.unsubscribe(lines)

    async def _next_line(self, lines: asyncio.Queue[Line]) -> Line:
        try:
            return await asyncio.wait_for(lines.get(), self._heartbeat_s)
        except TimeoutError:
            return self.feed.hello() if lines.empty() else lines.get_nowait()

    # --- what a drill does ---------------------------------------------------------------------------

    async def _set_prices(self, request: HttpRequest) -> Response:
        new = msgspec.json.decode(await request.body(), type=Prices)
        self.exchange.move(new.prices, new.ts_ns)
        self._publish()
        return Response(status_code=204)

    async def _set_behavior(self, request: HttpRequest) -> Response:
        self.behavior = msgspec.json.decode(await request.body(), type=Behavior)
        return Response(status_code=204)

    async def _disconnect(self, request: HttpRequest) -> Response:
        self.feed.disconnect()
        return Response(status_code=204)

    async def _show_audit(self, request: HttpRequest) -> Response:
        return _json(200, {"summary": self.audit.summary(), "requests": self.audit.entries})


class _Broken(Response):
    """Promises more than it sends, so that the server cuts the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": b'{"ord', "more_body": True})


async def _hung_up(socket: WebSocket, lines: asyncio.Queue[Line]) -> None:
    """The client says nothing but goodbye."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.receive_text()
    lines.put_nowait(None)


def _json(status: int, body: Any) -> Response:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")
