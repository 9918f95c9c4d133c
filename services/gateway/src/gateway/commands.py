"""What a person may tell the system over HTTP: every route puts one command on the tape and says where it is stored.

None of them does anything by itself. Orders are judged by the guardian like anybody's; a cancel needs no approval.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from common import messages as m
from common.messages.base import Message
from common.messages.bracket import Bracket
from common.model.enums import OrderType, Regime, Side, TimeInForce
from common.model.parties import MANUAL
from common.model.time import NS_PER_SECOND
from gateway.answers import as_json
from gateway.link import Link
from gateway.problems import UnavailableError

Why = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]
Name = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9._:-]*$")]
OrderId = Annotated[str, Path(max_length=200, pattern=r"^[^\x00]*$")]
AlertId = Annotated[str, Path(max_length=200, pattern=r"^[^\x00]*$")]
Price = Annotated[Decimal | None, Field(gt=0, max_digits=30)]
MAX_OVERRIDE_HOURS: Final = 24 * 30


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Halt(_Body):
    """Stop trading. `flatten` also closes every position."""

    model_config = ConfigDict(extra="forbid", strict=True)
    reason: Why
    flatten: bool = False


class Resume(_Body):
    """End a halt."""

    reason: Why


class Scope(_Body):
    """One strategy, one instrument, or one strategy in one instrument takes no new risk, or may again."""

    strategy_id: Name = ""
    instrument_id: Name = ""
    halted: bool
    reason: Why

    @model_validator(mode="after")
    def _names_something(self) -> Scope:
        if not (self.strategy_id or self.instrument_id):
            raise ValueError("expected a strategy_id or an instrument_id; POST risk/halt stops everything")
        return self


class Feature(_Body):
    """Switch a feature on again that was switched off because it failed."""

    service: Name = Field(min_length=1)
    feature: Name = Field(min_length=1)
    reason: Why


class Override(_Body):
    """Sets the regime of an instrument, or of all of them, by hand for some hours of data time; `regime` null lifts it."""

    instrument_id: Name = ""
    regime: Regime | None
    hours: float = Field(default=24.0, ge=0.1, le=MAX_OVERRIDE_HOURS)
    reason: Why

    def expires_ns(self, now: int) -> int:
        """In data time. Raises UnavailableError while there is none: with the first price it would have expired long ago."""
        if not now and self.regime is not None:
            raise UnavailableError(
                f"no price has come yet: there is no data time that {self.hours:g} hours could begin at"
            )
        return now + round(self.hours * 3600) * NS_PER_SECOND


class Ticket(_Body):
    """An order by hand. With `stop_loss_px` and `take_profit_px` exits are placed as soon as it fills."""

    instrument_id: Name = Field(min_length=1)
    side: Side
    qty: Decimal = Field(gt=0, max_digits=30)
    ref_px: Decimal = Field(gt=0, max_digits=30, description="the price you saw when you decided")
    order_type: OrderType = OrderType.MARKET
    limit_px: Price = None
    stop_px: Price = None
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    post_only: bool = False
    stop_loss_px: Price = None
    take_profit_px: Price = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Ticket:
        if complaint := self.bracket().complaint():
            raise ValueError(complaint)
        return self

    def bracket(self) -> Bracket:
        return Bracket(**{name: getattr(self, name) for name in type(self).model_fields})


class Amendment(_Body):
    """What shall be different; the guardian judges it."""

    qty: Price = None
    limit_px: Price = None
    stop_px: Price = None


def add_commands(routes: APIRouter, link: Link, account: str) -> None:
    """`account` is the id of the account that people trade in."""
    _stops(routes, link)
    _orders(routes, link, account)
    _others(routes, link)


def _stops(routes: APIRouter, link: Link) -> None:
    @routes.post("/risk/halt", summary="Emergency stop; needs nothing but NATS", status_code=202)
    async def halt(body: Halt, request: Request) -> Response:
        said = _said(request, reason=body.reason)
        return await _tell(link, lambda time: m.HaltTrading(flatten=body.flatten, **said, **time))

    @routes.post("/risk/resume", summary="End a halt", status_code=202)
    async def resume(body: Resume, request: Request) -> Response:
        said = _said(request, reason=body.reason)
        return await _tell(link, lambda time: m.ResumeTrading(**said, **time))

    @routes.post("/risk/scope", summary="Halt or resume one strategy or instrument", status_code=202)
    async def scope(body: Scope, request: Request) -> Response:
        said = _said(request, **body.model_dump())
        return await _tell(link, lambda time: m.HaltScope(**said, **time))


def _orders(routes: APIRouter, link: Link, account: str) -> None:
    @routes.post(
        "/orders", summary="An order by hand, with a bracket if you like; the guardian decides", status_code=202
    )
    async def order(body: Ticket, request: Request) -> Response:
        author = request.scope["user"]
        made: list[str] = []

        def propose(book: str, ts: int) -> Message:
            order_id = f"{book}-{MANUAL}-{link.unique()}"
            orders = body.bracket().orders(account=account, order_id=order_id, author=author)
            made.extend(one.client_order_id for one in orders)
            return m.ProposeOrders(ts_event=ts, book=book, author=author, orders=orders)

        return as_json({"seq": await link.command(propose), "client_order_ids": made}, 202)

    @routes.delete("/orders/{client_order_id}", summary="Cancel a working order", status_code=202)
    async def cancel(client_order_id: OrderId, request: Request) -> Response:
        said = _said(request, client_order_id=client_order_id, reason="canceled by hand")
        return await _tell(link, lambda time: m.CancelOrder(**said, **time))

    @routes.patch("/orders/{client_order_id}", summary="Amend a working order; the guardian decides", status_code=202)
    async def amend(client_order_id: OrderId, body: Amendment, request: Request) -> Response:
        if body == Amendment():
            raise HTTPException(422, "nothing to amend: expected qty, limit_px or stop_px")
        said = _said(request, client_order_id=client_order_id, **body.model_dump())
        return await _tell(link, lambda time: m.AmendOrder(**said, **time))


def _others(routes: APIRouter, link: Link) -> None:
    @routes.post("/risk/stress", summary="Evaluate every stress scenario on the book of now", status_code=202)
    async def stress(request: Request) -> Response:
        return await _tell(link, lambda time: m.RunStress(**_said(request), **time))

    @routes.post("/alerts/{alert_id}/acknowledge", summary="Somebody takes care of it", status_code=202)
    async def acknowledge(alert_id: AlertId, request: Request) -> Response:
        return await _tell(link, lambda time: m.AcknowledgeAlert(**_said(request, alert_id=alert_id), **time))

    @routes.post("/regime/override", summary="Set or lift a regime by hand, until it expires", status_code=202)
    async def override(body: Override, request: Request) -> Response:
        said = _said(request, **body.model_dump(exclude={"hours"}))

        def command(time: dict[str, Any]) -> Message:
            return m.OverrideRegime(expires_ns=body.expires_ns(time["ts_event"]), **said, **time)

        return await _tell(link, command)

    @routes.post("/features/enable", summary="Switch a failed feature on again", status_code=202)
    async def enable(body: Feature, request: Request) -> Response:
        said = _said(request, **body.model_dump())
        return await _tell(link, lambda time: m.EnableFeature(**said, **time))


def _said(request: Request, **fields: Any) -> dict[str, Any]:
    return {"author": request.scope["user"], **fields}


async def _tell(link: Link, make: Callable[[dict[str, Any]], Message]) -> Response:
    return as_json({"seq": await link.command(lambda book, ts: make({"book": book, "ts_event": ts}))}, 202)
