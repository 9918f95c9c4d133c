"""The paper venue as an order book of its own: it is asked like any venue and answers in reports, at once and without I/O.

Where and how much an order trades is arithmetic (paper.py); here is what becomes of it: time in force, stops, latency.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final, Protocol

import msgspec

from common.messages.market_data import Bar, MarketSlice, Quote
from common.messages.orders import Order
from common.messages.venue import (
    Accepted,
    Amended,
    AmendRefused,
    Canceled,
    CancelRefused,
    Expired,
    Rejected,
    Report,
    Traded,
)
from common.model.enums import OrderType, TimeInForce
from common.model.instrument import Instrument
from common.model.money import ZERO
from execution.adapters import paper
from execution.costs import Fees

NOTHING_TO_REDUCE: Final = "nothing left to reduce"
_STOPS: Final = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
_NO_REST: Final = frozenset({TimeInForce.IOC, TimeInForce.FOK})


class PaperSettings(Protocol):
    """What the venue takes of execution's settings."""

    @property
    def latency_ms(self) -> int: ...
    @property
    def participation(self) -> float: ...
    @property
    def max_fill(self) -> Decimal | None: ...
    @property
    def impact(self) -> float: ...
    @property
    def slippage_bps(self) -> float: ...
    @property
    def reject_rate(self) -> float: ...
    @property
    def seed(self) -> int: ...


class PaperOrder(msgspec.Struct, kw_only=True):
    """An order that works. `triggered`: its stop was reached in an earlier slice. `met`: it has seen a market since it came."""

    order: Order
    venue_order_id: str
    ts_sent: int
    cum_qty: Decimal = ZERO
    fills: int = 0
    triggered: bool = False
    met: bool = False

    @property
    def leaves_qty(self) -> Decimal:
        return self.order.qty - self.cum_qty


class PaperBook(msgspec.Struct, kw_only=True):
    """Orders in the order in which they came, positions as the sum of fills."""

    orders: dict[str, PaperOrder] = msgspec.field(default_factory=dict)
    positions: dict[str, Decimal] = msgspec.field(default_factory=dict)
    numbered: int = 0


class PaperVenue:
    """Everything it remembers is in the book that is handed to it."""

    def __init__(self, settings: PaperSettings) -> None:
        self._latency_ns = settings.latency_ms * 1_000_000
        self._participation = settings.participation
        self._max_fill = settings.max_fill
        self._slippage = paper.Slippage(settings.slippage_bps, settings.impact)
        self._reject_rate = settings.reject_rate
        self._seed = settings.seed

    def send(self, book: PaperBook, order: Order, ts: int) -> Report:
        """Accepted or Rejected; an id that works already is accepted as what it is."""
        name = order.client_order_id
        if (known := book.orders.get(name)) is not None:
            return Accepted(client_order_id=name, venue_order_id=known.venue_order_id)
        if paper.rejects(name, self._seed, self._reject_rate):
            return Rejected(client_order_id=name, reason="rejected by the paper venue")
        book.numbered += 1
        book.orders[name] = PaperOrder(order=order, venue_order_id=f"P{book.numbered}", ts_sent=ts)
        return Accepted(client_order_id=name, venue_order_id=f"P{book.numbered}")

    def cancel(self, book: PaperBook, client_order_id: str, reason: str) -> Report:
        """Canceled, or CancelRefused when it does not work."""
        if book.orders.pop(client_order_id, None) is None:
            return CancelRefused(client_order_id=client_order_id, reason="the order does not work")
        return Canceled(client_order_id=client_order_id, reason=reason)

    def amend(self, book: PaperBook, order: Order, ts: int) -> Report:
        """Amended, or AmendRefused. The order goes to the end of the queue and meets no price of before `ts`."""
        name, working = order.client_order_id, book.orders.get(order.client_order_id)
        if working is None:
            return AmendRefused(client_order_id=name, reason="the order does not work")
        if order.qty <= working.cum_qty:
            return AmendRefused(client_order_id=name, reason=f"{working.cum_qty} have filled already")
        del book.orders[name]
        book.orders[name] = working
        working.order, working.ts_sent, working.met = order, ts, False
        return Amended(client_order_id=name, qty=order.qty, limit_px=order.limit_px, stop_px=order.stop_px)

    def trade(
        self, book: PaperBook, message: MarketSlice, instruments: Mapping[str, Instrument], fees: Fees
    ) -> Iterator[Report]:
        """What the slice makes of the orders, one report after the other; the book may be changed between two."""
        if not book.orders:
            return
        bars = {bar.instrument_id: bar for bar in message.bars if bar.base}
        quotes = {quote.instrument_id: quote for quote in message.quotes}
        for name in _queue(book):
            if (working := book.orders.get(name)) is not None:
                instrument = instruments[working.order.instrument_id]
                yield from self._work(
                    book,
                    working,
                    message.ts_event,
                    _market(working, message, bars, quotes, instrument),
                    instrument,
                    fees,
                )

    def _work(
        self,
        book: PaperBook,
        working: PaperOrder,
        ts: int,
        market: paper.Market | None,
        instrument: Instrument,
        fees: Fees,
    ) -> Iterator[Report]:
        """An order that expires inside the slice trades no more: when in it the market was where is not known."""
        order = working.order
        in_time = order.expire_ns is None or ts <= order.expire_ns
        if market is not None and in_time and ts > working.ts_sent + self._latency_ns:
            yield from self._meet(book, working, market, instrument, fees)
        if order.expire_ns is not None and ts >= order.expire_ns and order.client_order_id in book.orders:
            del book.orders[order.client_order_id]
            yield Expired(client_order_id=order.client_order_id)

    def _meet(
        self, book: PaperBook, working: PaperOrder, market: paper.Market, instrument: Instrument, fees: Fees
    ) -> Iterator[Report]:
        """The time in force of a stop begins when it is reached."""
        order = working.order
        found = paper.match(order, working.triggered, market, instrument, resting=working.met)
        in_force = order.order_type not in _STOPS or working.triggered or found.px is not None
        working.triggered, working.met = working.triggered or found.triggered, True
        if order.post_only and found.px is not None and not found.maker:
            yield self.cancel(book, order.client_order_id, "post-only: it would have crossed")
            return
        wanted = _wanted(book, working)
        if wanted <= 0:
            yield self.cancel(book, order.client_order_id, NOTHING_TO_REDUCE)
            return
        qty = ZERO
        if found.px is not None:
            qty = paper.fillable(wanted, market, instrument, self._participation, self._max_fill)
        if in_force and order.time_in_force is TimeInForce.FOK and qty < working.leaves_qty:
            yield self.cancel(book, order.client_order_id, "fill or kill: not all of it could be filled")
            return
        if found.px is not None and qty > 0:
            px = found.px
            if not found.maker:
                px = paper.moved(px, qty, order, market, instrument, self._slippage)
            yield _fill(book, working, qty, found._replace(px=px), instrument, fees)
        if (reason := _why_no_more(book, working, in_force)) and order.client_order_id in book.orders:
            yield self.cancel(book, order.client_order_id, reason)


def _queue(book: PaperBook) -> list[str]:
    """Of orders that exclude each other the stops first: which price of a bar came first is not known, so it is the worse."""
    names = list(book.orders)
    if any(working.order.oco_group for working in book.orders.values()):
        names.sort(key=lambda name: not _is_grouped_stop(book.orders[name].order))
    return names


def _is_grouped_stop(order: Order) -> bool:
    return bool(order.oco_group) and order.order_type in _STOPS


def _market(
    working: PaperOrder, message: MarketSlice, bars: dict[str, Bar], quotes: dict[str, Quote], instrument: Instrument
) -> paper.Market | None:
    name = working.order.instrument_id
    if (quote := quotes.get(name)) is not None:
        return paper.market_of_quote(quote, working.order.side)
    if (bar := bars.get(name)) is None:
        return None
    return paper.market_of_bar(bar, instrument, message.ts_event - bar.timeframe.ns, working.ts_sent)


def _wanted(book: PaperBook, working: PaperOrder) -> Decimal:
    order = working.order
    if not order.reduce_only:
        return working.leaves_qty
    return min(working.leaves_qty, book.positions.get(order.instrument_id, ZERO) * -order.side.sign)


def _why_no_more(book: PaperBook, working: PaperOrder, in_force: bool) -> str:
    if in_force and working.order.time_in_force in _NO_REST:
        return "immediate or cancel: the rest"
    return "" if _wanted(book, working) > 0 else NOTHING_TO_REDUCE


def _fill(
    book: PaperBook, working: PaperOrder, qty: Decimal, found: paper.Match, instrument: Instrument, fees: Fees
) -> Traded:
    assert found.px is not None
    order = working.order
    working.cum_qty += qty
    working.fills += 1
    book.positions[order.instrument_id] = book.positions.get(order.instrument_id, ZERO) + qty * order.side.sign
    if working.leaves_qty <= 0:
        del book.orders[order.client_order_id]
    return Traded(
        client_order_id=order.client_order_id,
        venue_order_id=working.venue_order_id,
        trade_id=f"{working.venue_order_id}-{working.fills}",
        last_qty=qty,
        last_px=found.px,
        commission=paper.commission(qty, found.px, fees.maker_bps if found.maker else fees.taker_bps),
        commission_currency=instrument.quote,
        maker=found.maker,
    )
