"""`ballast order`, `amend`, `cancel`, `scope`, `acknowledge`: a person's word onto the tape, and the guardian's answer to it."""

from __future__ import annotations

import asyncio
import getpass
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from ballast_cli.operator import ANSWER_WITHIN_S, endpoints_of
from ballast_cli.output import WrongArgumentError
from common import messages as m
from common.contracts import pattern
from common.errors import TapeError
from common.messages.base import Message
from common.messages.bracket import Bracket
from common.model.account import Account
from common.model.enums import OrderType, Side, TimeInForce
from common.model.parties import MANUAL
from common.runtime.codec import decode, decode_envelope
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.settings import section
from common.runtime.subjects import subject
from common.runtime.tape import Record

M = TypeVar("M", bound=Message)
Decided = Callable[[Sequence[Message]], bool]
_VERDICTS: Final = (m.OrderApproved, m.AmendApproved, m.OrderDenied)
_ENDS: Final = (m.OrderCanceled, m.OrderExpired, m.OrderRejected)


class Prices(NamedTuple):
    """As they were typed."""

    limit: str | None = None
    stop: str | None = None
    stop_loss: str | None = None
    take_profit: str | None = None
    ref: str | None = None


async def order(
    home: Path, symbol: str, side: Side, qty: str, prices: Prices, *, reduce_only: bool, post_only: bool
) -> dict[str, Any]:
    """What the guardian said of the order and its exits; `confirmed` is false when it stays silent. Raises WrongArgumentError."""
    given = {
        "limit_px": _number("--limit", prices.limit),
        "stop_px": _number("--stop", prices.stop),
        "stop_loss_px": _number("--stop-loss", prices.stop_loss),
        "take_profit_px": _number("--take-profit", prices.take_profit),
    }
    seen, units = _number("--ref", prices.ref), _number("QTY", qty)
    assert units is not None
    async with open_desk(home) as desk:
        instrument_id = await desk.instrument(symbol)
        wanted = Bracket(
            instrument_id=instrument_id,
            side=side,
            qty=units,
            ref_px=seen or await desk.last_px(instrument_id),
            order_type=_TYPES[prices.limit is not None, prices.stop is not None],
            time_in_force=TimeInForce.GTC,
            reduce_only=reduce_only,
            post_only=post_only,
            **given,
        )
        if complaint := wanted.complaint():
            raise WrongArgumentError(complaint)
        order_id = f"{desk.run.book}-{MANUAL}-{time.time_ns() // 10**9}-{secrets.token_hex(4)}"
        account = section(desk.config(), "account", Account).id
        orders = wanted.orders(account=account, order_id=order_id, author=desk.author)
        return _verdicts(
            await desk.ask(
                m.ProposeOrders(**desk.said(), orders=orders),
                (m.OrderApproved, m.OrderDenied),
                lambda heard: len(heard) == len(orders),
            )
        )


async def amend(home: Path, order_id: str, qty: str | None, limit: str | None, stop: str | None) -> dict[str, Any]:
    """As `order`. An approved amendment still needs the venue's consent."""
    units, limit_px, stop_px = _number("--qty", qty), _number("--limit", limit), _number("--stop", stop)
    if not (units or limit_px or stop_px):
        raise WrongArgumentError("nothing to amend: expected --qty, --limit or --stop")
    async with open_desk(home) as desk:
        word = m.AmendOrder(**desk.said(), client_order_id=order_id, qty=units, limit_px=limit_px, stop_px=stop_px)
        return _verdicts(await desk.ask(word, (m.AmendApproved, m.OrderDenied), bool))


async def cancel(home: Path, order_id: str, reason: str) -> dict[str, Any]:
    """What execution said: `done` when the order is off the market, whatever ended it."""
    kinds = (*_ENDS, m.CancelRejected, m.OrderFilled)
    async with open_desk(home) as desk:
        word = m.CancelOrder(**desk.said(), client_order_id=order_id, reason=reason)
        heard = await desk.ask(word, kinds, lambda heard: bool(_last_of(heard, order_id)), caused=False)
    last = _last_of(heard, order_id)
    if last is None:
        return {"confirmed": False}
    return {
        "confirmed": True,
        "done": not isinstance(last, m.CancelRejected),
        "order": order_id,
        "answer": type(last).__name__,
        "leaves_qty": str(getattr(last, "leaves_qty", "")),
        "reason": getattr(last, "reason", ""),
    }


async def scope(home: Path, strategy_id: str, instrument_id: str, reason: str, *, halted: bool) -> dict[str, Any]:
    """What takes no new risk from here on, or may again."""
    if not (strategy_id or instrument_id):
        raise WrongArgumentError("expected --strategy or --instrument; `ballast halt` stops everything")
    async with open_desk(home) as desk:
        instrument = await desk.instrument(instrument_id) if instrument_id else ""
        word = m.HaltScope(
            **desk.said(), reason=reason, strategy_id=strategy_id, instrument_id=instrument, halted=halted
        )
        heard = await desk.ask(word, (m.ScopeHalted,), bool)
    said = {"strategy": strategy_id, "instrument": instrument, "halted": halted, "reason": reason}
    return {"confirmed": bool(heard), "done": bool(heard), **said}


async def acknowledge(home: Path, alert_id: str) -> dict[str, Any]:
    """The guardian does not answer about an alert that it does not know, or that is acknowledged."""
    async with open_desk(home) as desk:
        heard = await desk.ask(m.AcknowledgeAlert(**desk.said(), alert_id=alert_id), (m.AlertAcknowledged,), bool)
    said = {"confirmed": bool(heard), "done": bool(heard), "alert": alert_id}
    return said if heard else {**said, "because": "no such alert waits for somebody, or the guardian is silent"}


# --- on the operator's login ---------------------------------------------------------------------------------------------


class Desk:
    """A run that can be talked to. Nothing here but the tape is needed."""

    def __init__(self, tape: NatsTape, run: m.RunStarted) -> None:
        self.tape, self.run = tape, run
        self.author = getpass.getuser()

    def said(self) -> dict[str, Any]:
        return {"ts_event": time.time_ns(), "book": self.run.book, "author": self.author}

    def config(self) -> dict[str, Any]:
        found = json.loads(self.run.config or "{}")
        return found if isinstance(found, dict) else {}

    async def instrument(self, symbol: str) -> str:
        """By its id, or by its symbol where only one instrument has that. Raises WrongArgumentError."""
        defined = await newest(self.tape, m.InstrumentsDefined)
        known = defined.instruments if defined else ()
        found = [each.instrument_id for each in known if symbol.upper() in (each.instrument_id, each.symbol)]
        if len(found) == 1:
            return found[0]
        names = ", ".join(each.instrument_id for each in known)
        raise WrongArgumentError(
            f"SYMBOL = {symbol!r}: expected one of {names or 'none, no instrument is defined yet'}"
        )

    async def last_px(self, instrument_id: str) -> Decimal:
        """Of the newest slice. Raises WrongArgumentError where that says nothing of the instrument."""
        newest_slice = await newest(self.tape, m.MarketSlice)
        for quote in newest_slice.quotes if newest_slice else ():
            if quote.instrument_id == instrument_id:
                return Decimal(repr((quote.bid + quote.ask) / 2))
        for bar in newest_slice.bars if newest_slice else ():
            if bar.instrument_id == instrument_id and bar.base:
                return Decimal(repr(bar.close))
        raise WrongArgumentError(f"{instrument_id}: no price in the last slice; say the price that you see with --ref")

    async def ask(
        self, word: Message, kinds: tuple[type[Message], ...], decided: Decided, *, caused: bool = True
    ) -> list[Message]:
        """What was said in answer (`caused`), or after it, until it is decided or nobody says more. Raises TapeError."""
        stored = await self.tape.append(
            subject(word), envelope("operator", word, f"{word.TYPE}:{word.ts_event}", cause=None)
        )
        try:
            seq = await asyncio.wait_for(stored, ANSWER_WITHIN_S)
        except (TimeoutError, asyncio.CancelledError):
            raise TapeError("NATS did not acknowledge the command: it may or may not be on the tape") from None
        heard: list[Message] = []
        done = asyncio.Event()

        async def on_record(record: Record) -> None:
            sealed = decode_envelope(record.payload)
            if not caused or sealed.cause_seq == seq:
                heard.append(decode(sealed))
                if decided(heard):
                    done.set()

        await self.tape.read([pattern(kind) for kind in kinds], seq + 1, on_record)
        try:
            await asyncio.wait_for(done.wait(), ANSWER_WITHIN_S)
        except TimeoutError:
            return []
        return heard


@asynccontextmanager
async def open_desk(home: Path) -> AsyncIterator[Desk]:
    """The run of this home. Raises TapeError where there is none."""
    endpoints = endpoints_of(home)
    tape = await NatsTape.connect(endpoints.login("operator"))
    try:
        run = await newest(tape, m.RunStarted)
        if run is None:
            raise TapeError(f"{home}: no run on the tape")
        yield Desk(tape, run)
    finally:
        await tape.close()


async def newest(tape: NatsTape, kind: type[M]) -> M | None:
    """The last message of a kind on the tape."""
    record = await tape.last([pattern(kind)])
    message = decode(decode_envelope(record.payload)) if record else None
    return message if isinstance(message, kind) else None


# --- in words -----------------------------------------------------------------------------------------------------------


_TYPES: Final = {  # by whether there is a limit, and whether there is a stop
    (False, False): OrderType.MARKET,
    (True, False): OrderType.LIMIT,
    (False, True): OrderType.STOP,
    (True, True): OrderType.STOP_LIMIT,
}


def _verdicts(heard: Sequence[Message]) -> dict[str, Any]:
    """By order; `done` when all were approved."""
    verdicts = [each for each in heard if isinstance(each, _VERDICTS)]
    return {
        "confirmed": bool(verdicts),
        "done": bool(verdicts) and not any(isinstance(each, m.OrderDenied) for each in verdicts),
        "orders": {each.order.client_order_id: _verdict(each) for each in verdicts},
    }


def _verdict(said: m.OrderApproved | m.AmendApproved | m.OrderDenied) -> dict[str, Any]:
    order = said.order
    terms = {"instrument": order.instrument_id, "side": order.side, "qty": str(order.qty), "type": order.order_type}
    match said:
        case m.OrderDenied():
            why = {"detail": said.detail} if said.detail else {}
            return {
                "verdict": "DENIED",
                "code": said.code,
                "observed": str(said.observed),
                "limit": str(said.limit),
                **why,
            }
        case m.OrderApproved(resized_from=Decimal()):
            return {"verdict": "APPROVED", **terms, "asked_for": str(said.resized_from), "because": said.rule}
    return {"verdict": "APPROVED", **terms}


def _last_of(heard: Sequence[Message], order_id: str) -> Any:
    """What ended the order, or refused to."""
    for each in heard:
        if getattr(each, "client_order_id", "") == order_id and not (
            isinstance(each, m.OrderFilled) and each.leaves_qty
        ):
            return each
    return None


def _number(name: str, typed: str | None) -> Decimal | None:
    if typed is None:
        return None
    try:
        value = Decimal(typed)
    except InvalidOperation:
        value = Decimal("NaN")
    if not (value.is_finite() and value > 0):
        raise WrongArgumentError(f"{name} = {typed!r}: expected a number > 0")
    return value
