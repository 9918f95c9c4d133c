"""The world outside execution's core, under a test's thumb: a venue that does what it is asked, loses what it is told to
lose, and speaks in any order; and a shell that carries effects out one at a time, or forgets them and starts again.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from common.core import Effect
from common.messages import (
    HaltTrading,
    InstrumentsDefined,
    IntentFailed,
    IntentRecorded,
    MarketSlice,
    Message,
    OrderApproved,
    VenueConnection,
    VenueReported,
    VenueSnapshot,
)
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
    Traded,
    VenueOrder,
)
from common.model.account import Account
from common.model.enums import OrderType, Side, TimeInForce
from common.model.instrument import Instrument
from common.model.money import ZERO
from common.runtime import snapshots
from common.testing.builders import EUR_USD, T0, a
from execution.core import Execution
from execution.effects import AmendAtVenue, CancelAtVenue, QueryOrder, RecordIntent, SendOrder, TakeSnapshot
from execution.settings import Settings

MINUTE = 60_000_000_000
PX = Decimal("1.1")
OTHER = "GBP-USD.ECB"


class Fate(StrEnum):
    """What becomes of a request."""

    OK = "OK"
    ANSWER_LOST = "ANSWER_LOST"  # the venue acts, nobody hears of it
    LOST = "LOST"  # never arrives, and nobody knows
    NOT_RECEIVED = "NOT_RECEIVED"
    HELD_BACK = "HELD_BACK"  # by our own adapter
    REFUSED = "REFUSED"  # the venue says no


class Working(msgspec.Struct):
    order: Order
    venue_order_id: str
    cum_qty: Decimal = ZERO
    trades: list[Traded] = msgspec.field(default_factory=list)
    final: str = ""

    @property
    def leaves(self) -> Decimal:
        return self.order.qty - self.cum_qty


class Outside:
    """`effects` are asked for and not carried out, `mail` is said by the venue and not heard, `said` is all that the core said.
    The venue keeps a second order under one id as a second order: `created` counts them.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings(**{"venue": "reference", "report_costs": False, **settings})
        self.core = Execution(self.settings, Account())
        self.book: dict[str, Working] = {}
        self.created: dict[str, int] = {}
        self.effects: list[Effect] = []
        self.mail: list[Report] = []
        self.said: list[Message] = []
        self.step = 0
        instruments = (a(Instrument, close_only=False), a(Instrument, close_only=False, instrument_id=OTHER))
        self.hear(a(InstrumentsDefined, instruments=instruments, base_timeframes=("1h", "1h")))
        self.connect()
        self.pass_time()
        self.settle()

    @property
    def now(self) -> int:
        return T0 + self.step * MINUTE

    # --- what the core hears -------------------------------------------------------------------------

    def hear(self, message: Message) -> list[Message]:
        """What is said in answer; effects are kept."""
        outputs = self.core.handle(message)
        self.effects += [output for output in outputs if isinstance(output, Effect)]
        said = [output for output in outputs if not isinstance(output, Effect)]
        self.said += said
        return said

    def report(self, report: Report) -> list[Message]:
        return self.hear(VenueReported(ts_event=self.now, report=report))

    def connect(self, *, up: bool = True) -> list[Message]:
        return self.hear(
            VenueConnection(
                ts_event=self.now, venue="reference", connected=up, breaker_open=False, failures=0, reason="test"
            )
        )

    def pass_time(self, minutes: int = 1) -> list[Message]:
        self.step += minutes
        return self.hear(MarketSlice(ts_event=self.now, book="fx", step=self.step))

    def approve(self, signed_qty: float = 100, **changes: Any) -> list[Message]:
        return self.hear(OrderApproved(ts_event=self.now, order=order(signed_qty, **changes), step=self.step))

    def halt(self) -> list[Message]:
        return self.hear(a(HaltTrading))

    # --- the shell -----------------------------------------------------------------------------------

    def carry_out(self, effect: Effect, fate: Fate = Fate.OK) -> list[Message]:
        self.effects.remove(effect)
        match effect:
            case RecordIntent():
                return self._record(effect, fate)
            case TakeSnapshot():
                return self.hear(self.snapshot(effect.number))
            case SendOrder() | CancelAtVenue() | AmendAtVenue() | QueryOrder():
                return self._request(effect, fate)
        raise TypeError(type(effect).__name__)

    def all(self, fate: Fate = Fate.OK) -> list[Message]:
        """Carries out what is asked for now, not what that leads to."""
        return [message for effect in list(self.effects) for message in self.carry_out(effect, fate)]

    def settle(self, limit: int = 200) -> list[Message]:
        """A venue and a shell without a fault, until nothing more is asked or said."""
        heard: list[Message] = []
        for _ in range(limit):
            if self.mail:
                heard += self.report(self.mail.pop(0))
            elif self.effects:
                heard += self.carry_out(self.effects[0])
            else:
                return heard
        raise AssertionError(f"no end of it: {self.effects}")

    def restart(self) -> None:
        """Another process, from a snapshot: what was under way is forgotten, what is pending is asked again."""
        payload = snapshots.encode(self.core, 7, "mark")
        self.core = Execution(self.settings, Account())
        assert snapshots.restore(self.core, payload, "mark") == 7
        self.effects = list(self.core.pending())

    def _record(self, effect: RecordIntent, fate: Fate) -> list[Message]:
        name = effect.order.client_order_id
        if fate is Fate.OK:
            return self.hear(IntentRecorded(ts_event=effect.ts_event, client_order_id=name))
        return self.hear(a(IntentFailed, client_order_id=name))

    def _request(self, effect: SendOrder | CancelAtVenue | AmendAtVenue | QueryOrder, fate: Fate) -> list[Message]:
        name, request = _about(effect)
        if isinstance(effect, QueryOrder) and effect.held_back:
            return self.report(NotFound(client_order_id=name))
        if fate in {Fate.NOT_RECEIVED, Fate.HELD_BACK}:
            held_back = fate is Fate.HELD_BACK
            refused = NotReceived(client_order_id=name, request=request, reason="test", held_back=held_back)
            return self.report(refused)
        if fate is not Fate.LOST:
            answer = self._refuse(name, request) if fate is Fate.REFUSED else self._act(effect)
            if fate is not Fate.ANSWER_LOST:
                return self.report(answer)
        return self.report(OutcomeUnknown(client_order_id=name, request=request, reason="test"))

    # --- the venue -----------------------------------------------------------------------------------

    def _act(self, effect: SendOrder | CancelAtVenue | AmendAtVenue | QueryOrder) -> Report:
        match effect:
            case SendOrder():
                return self._create(effect.order)
            case CancelAtVenue():
                return self._cancel(effect.client_order_id)
            case AmendAtVenue():
                return self._amend(effect.order)
            case QueryOrder():
                return self.status(effect.client_order_id)

    def _refuse(self, name: str, request: Request) -> Report:
        match request:
            case Request.SEND:
                return Rejected(client_order_id=name, reason="no")
            case Request.CANCEL:
                return CancelRefused(client_order_id=name, reason="no")
            case Request.AMEND:
                return AmendRefused(client_order_id=name, reason="no")
            case Request.QUERY:
                return self.status(name)

    def _create(self, sent: Order) -> Report:
        name = sent.client_order_id
        self.created[name] = self.created.get(name, 0) + 1
        self.book[name] = Working(sent, f"V-{name}")
        return Accepted(client_order_id=name, venue_order_id=f"V-{name}")

    def _cancel(self, name: str) -> Report:
        found = self.book.get(name)
        if found is None or found.final:
            return CancelRefused(client_order_id=name, reason="it does not work")
        found.final = "CANCELED"
        return Canceled(client_order_id=name)

    def _amend(self, to: Order) -> Report:
        found = self.book.get(to.client_order_id)
        if found is None or found.final or to.qty <= found.cum_qty:
            return AmendRefused(client_order_id=to.client_order_id, reason="it does not work")
        found.order = to
        return Amended(client_order_id=to.client_order_id, qty=to.qty, limit_px=to.limit_px, stop_px=to.stop_px)

    def status(self, name: str) -> Report:
        found = self.book.get(name)
        if found is None:
            return NotFound(client_order_id=name)
        return Status(
            client_order_id=name,
            venue_order_id=found.venue_order_id,
            working=not found.final,
            final=found.final,
            trades=tuple(found.trades),
        )

    def fill(self, name: str, qty: float | None = None, *, mail: bool = True) -> list[Message]:
        """The order trades at the venue; `mail` False keeps the report from ever being heard."""
        found = self.book[name]
        traded = min(found.leaves, found.leaves if qty is None else Decimal(str(qty)))
        found.cum_qty += traded
        trade = Traded(
            client_order_id=name,
            venue_order_id=found.venue_order_id,
            trade_id=f"T-{name}-{len(found.trades) + 1}",
            last_qty=traded,
            last_px=PX,
            commission=ZERO,
            commission_currency="USD",
        )
        found.trades.append(trade)
        if found.leaves <= 0:
            found.final = "FILLED"
        if mail:
            self.mail.append(trade)
        return []

    def snapshot(self, number: int) -> VenueSnapshot:
        positions = self.positions()
        spent = sum((t.last_qty * t.last_px * w.order.side.sign for w in self.book.values() for t in w.trades), ZERO)
        return VenueSnapshot(
            ts_event=self.now,
            number=number,
            orders=tuple(
                VenueOrder(
                    client_order_id=name,
                    venue_order_id=found.venue_order_id,
                    instrument_id=found.order.instrument_id,
                    signed_leaves_qty=found.leaves * found.order.side.sign,
                )
                for name, found in self.book.items()
                if not found.final
            ),
            positions={name: qty for name, qty in positions.items() if qty},
            cash={"USD": Decimal(100_000) - spent},
            trades=tuple(trade for found in self.book.values() for trade in found.trades),
        )

    def positions(self) -> dict[str, Decimal]:
        held: dict[str, Decimal] = {}
        for found in self.book.values():
            name = found.order.instrument_id
            held[name] = held.get(name, ZERO) + found.cum_qty * found.order.side.sign
        return held


def _about(effect: SendOrder | CancelAtVenue | AmendAtVenue | QueryOrder) -> tuple[str, Request]:
    match effect:
        case SendOrder():
            return effect.order.client_order_id, Request.SEND
        case AmendAtVenue():
            return effect.order.client_order_id, Request.AMEND
        case CancelAtVenue():
            return effect.client_order_id, Request.CANCEL
        case QueryOrder():
            return effect.client_order_id, Request.QUERY


def order(signed_qty: float = 100, **changes: Any) -> Order:
    """A market order, good till canceled; limit and stop prices make it what they say."""
    limit, stop = changes.get("limit_px"), changes.get("stop_px")
    kind = {
        (False, False): OrderType.MARKET,
        (True, False): OrderType.LIMIT,
        (False, True): OrderType.STOP,
        (True, True): OrderType.STOP_LIMIT,
    }[limit is not None, stop is not None]
    plain: dict[str, Any] = {
        "client_order_id": "o-1",
        "instrument_id": EUR_USD,
        "side": Side.BUY if signed_qty > 0 else Side.SELL,
        "qty": Decimal(str(abs(signed_qty))),
        "order_type": kind,
        "time_in_force": TimeInForce.GTC,
        "expire_ns": None,
        "ref_px": PX,
        "parent_id": "",
        "oco_group": "",
        "algorithm": None,
    }
    prices = {"limit_px": limit and Decimal(str(limit)), "stop_px": stop and Decimal(str(stop))}
    return a(Order, **{**plain, **changes, **prices})
