"""The venue itself, without its wire: orders, trades, an account. Pure and deterministic.

One price per instrument. A market order trades at it at once; a limit order when the price reaches it, at the limit, or at
once at the price when it crosses; a stop becomes a market order when the price reaches it.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal
from typing import Final

import msgspec

from common.model.enums import OrderType, Side, TimeInForce
from common.model.money import ZERO
from execution.adapters.wire import (
    NewOrder,
    NewTerms,
    OrderStatus,
    ReportKind,
    WireAccount,
    WireOrder,
    WireReport,
    WireTrade,
)

_IMMEDIATE: Final = frozenset({TimeInForce.IOC, TimeInForce.FOK})


class Refused(Exception):  # noqa: N818 a refusal is an answer
    """The venue says no, with a code and a reason."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Exchange:
    """One account. Every change appends to `reports`, for the caller to take (`seq` is 0 there); orders and trades are never
    forgotten.
    """

    def __init__(self, cash: dict[str, Decimal] | None = None, fee_bps: Decimal = ZERO) -> None:
        self.prices: dict[str, Decimal] = {}
        self.orders: dict[str, WireOrder] = {}
        self.trades: list[WireTrade] = []
        self.positions: dict[str, Decimal] = {}
        self.cash = dict(cash or {})
        self.reports: list[WireReport] = []
        self._working: dict[str, WireOrder] = {}
        self._fee_bps = fee_bps

    # --- requests ------------------------------------------------------------------------------------

    def place(self, terms: NewOrder, *, in_parts: bool = False) -> WireOrder:
        """Accepts, and trades what trades at once. `in_parts`: half of the first fill now, the rest at the next price.
        Raises Refused; the id must be new.
        """
        self._check(terms)
        order = WireOrder(terms=terms, order_id=f"R{len(self.orders) + 1}")
        self.orders[terms.client_order_id] = self._working[terms.client_order_id] = order
        self._report(order, ReportKind.ACCEPTED)
        self._match(order, in_parts=in_parts, arriving=True)
        if order.status.working and terms.time_in_force in _IMMEDIATE and not _sleeps(order):
            self._end(order, OrderStatus.CANCELED, f"{terms.time_in_force}: the rest")
        return order

    def cancel(self, client_order_id: str) -> WireOrder:
        """Raises Refused for what is unknown or over."""
        order = self._find_working(client_order_id)
        self._end(order, OrderStatus.CANCELED, "canceled on request")
        return order

    def cancel_all(self) -> int:
        """How many were canceled."""
        orders = list(self._working.values())
        for order in orders:
            self._end(order, OrderStatus.CANCELED, "all canceled on request")
        return len(orders)

    def amend(self, client_order_id: str, new: NewTerms) -> WireOrder:
        """Raises Refused for what is unknown or over, or a quantity that is not above what has traded."""
        order = self._find_working(client_order_id)
        if new.qty <= order.cum_qty:
            raise Refused("BAD_QTY", f"quantity {new.qty}: {order.cum_qty} have traded already")
        order.terms = msgspec.structs.replace(order.terms, qty=new.qty, limit_px=new.limit_px, stop_px=new.stop_px)
        self._report(order, ReportKind.AMENDED, terms=new)
        self._match(order, arriving=True)
        return order

    def account(self) -> WireAccount:
        """Flat positions are left out."""
        return WireAccount(
            orders=list(self._working.values()),
            positions={name: qty for name, qty in self.positions.items() if qty},
            cash=dict(self.cash),
            trades=self.trades,
        )

    def move(self, prices: dict[str, Decimal], ts_ns: int | None = None) -> None:
        """New prices; what they reach trades. `ts_ns` is the venue's clock: what expires by then is over first."""
        self.prices.update(prices)
        for order in list(self._working.values()):
            expire_ns = order.terms.expire_ns
            if ts_ns is not None and expire_ns is not None and expire_ns <= ts_ns:
                self._end(order, OrderStatus.EXPIRED, "good till date")
            elif order.terms.instrument_id in prices:
                self._match(order)

    # --- matching ------------------------------------------------------------------------------------

    def _check(self, terms: NewOrder) -> None:
        for wrong, code, reason in self._complaints(terms):
            if wrong:
                raise Refused(code, reason)

    def _complaints(self, terms: NewOrder) -> Iterable[tuple[bool, str, str]]:
        px = self.prices.get(terms.instrument_id)
        needs_limit = terms.order_type in {OrderType.LIMIT, OrderType.STOP_LIMIT}
        needs_stop = terms.order_type in {OrderType.STOP, OrderType.STOP_LIMIT}
        yield px is None, "UNKNOWN_INSTRUMENT", f"{terms.instrument_id} has no price here"
        yield terms.qty <= 0, "BAD_QTY", f"quantity {terms.qty}"
        yield needs_limit and terms.limit_px is None, "BAD_PRICE", "a limit order without a limit"
        yield needs_stop and terms.stop_px is None, "BAD_PRICE", "a stop order without a stop"
        crosses = terms.order_type is OrderType.LIMIT and px is not None and _reached(terms, px)
        yield terms.post_only and crosses, "POST_ONLY", "would take liquidity"

    def _match(self, order: WireOrder, *, in_parts: bool = False, arriving: bool = False) -> None:
        terms, px = order.terms, self.prices[order.terms.instrument_id]
        if _sleeps(order):
            if (px - (terms.stop_px or px)) * terms.side.sign < 0:
                return
            order.triggered = True
            arriving = True
        priced = terms.order_type in {OrderType.LIMIT, OrderType.STOP_LIMIT}
        if priced and not _reached(terms, px):
            return
        maker = priced and not arriving
        self._trade(order, terms.limit_px if maker and terms.limit_px else px, maker=maker, in_parts=in_parts)

    def _trade(self, order: WireOrder, px: Decimal, *, maker: bool, in_parts: bool) -> None:
        wanted = self._wanted(order)
        if wanted <= 0:
            self._end(order, OrderStatus.CANCELED, "nothing left to reduce")
            return
        half = (wanted / 2).quantize(wanted, rounding=ROUND_DOWN)
        self._fill(order, half if in_parts and half else wanted, px, maker=maker)
        if order.status.working and self._wanted(order) <= 0:
            self._end(order, OrderStatus.CANCELED, "nothing left to reduce")

    def _wanted(self, order: WireOrder) -> Decimal:
        if not order.terms.reduce_only:
            return order.leaves_qty
        held = self.positions.get(order.terms.instrument_id, ZERO) * -order.terms.side.sign
        return min(order.leaves_qty, held)

    def _fill(self, order: WireOrder, qty: Decimal, px: Decimal, *, maker: bool) -> None:
        terms, currency = order.terms, _quote(order.terms.instrument_id)
        trade = WireTrade(
            client_order_id=terms.client_order_id,
            order_id=order.order_id,
            trade_id=f"T{len(self.trades) + 1}",
            qty=qty,
            px=px,
            fee=(qty * px * self._fee_bps / 10_000).quantize(Decimal("0.000001")),
            fee_currency=currency,
            maker=maker,
        )
        order.cum_qty += qty
        order.trades.append(trade)
        self.trades.append(trade)
        signed = qty * terms.side.sign
        self.positions[terms.instrument_id] = self.positions.get(terms.instrument_id, ZERO) + signed
        self.cash[currency] = self.cash.get(currency, ZERO) - signed * px - trade.fee
        order.status = OrderStatus.PARTIALLY_FILLED if order.leaves_qty > 0 else OrderStatus.FILLED
        if not order.status.working:
            del self._working[terms.client_order_id]
        self._report(order, ReportKind.TRADED, trade=trade)

    # --- bookkeeping ---------------------------------------------------------------------------------

    def _find_working(self, client_order_id: str) -> WireOrder:
        order = self.orders.get(client_order_id)
        if order is None:
            raise Refused("UNKNOWN_ORDER", f"no order {client_order_id}")
        if not order.status.working:
            raise Refused("ORDER_OVER", f"the order is {order.status}")
        return order

    def _end(self, order: WireOrder, status: OrderStatus, reason: str) -> None:
        order.status = status
        del self._working[order.terms.client_order_id]
        kinds = {OrderStatus.CANCELED: ReportKind.CANCELED, OrderStatus.EXPIRED: ReportKind.EXPIRED}
        self._report(order, kinds[status], reason=reason)

    def _report(
        self,
        order: WireOrder,
        kind: ReportKind,
        *,
        reason: str = "",
        trade: WireTrade | None = None,
        terms: NewTerms | None = None,
    ) -> None:
        self.reports.append(
            WireReport(
                seq=0,
                kind=kind,
                client_order_id=order.terms.client_order_id,
                order_id=order.order_id,
                instrument_id=order.terms.instrument_id,
                status=order.status,
                reason=reason,
                trade=trade,
                terms=terms,
            )
        )


def _sleeps(order: WireOrder) -> bool:
    """Whether it is a stop that has not been reached."""
    return order.terms.order_type in {OrderType.STOP, OrderType.STOP_LIMIT} and not order.triggered


def _reached(terms: NewOrder, px: Decimal) -> bool:
    assert terms.limit_px is not None
    return px <= terms.limit_px if terms.side is Side.BUY else px >= terms.limit_px


def _quote(instrument_id: str) -> str:
    """`EUR-USD.ECB` is quoted in USD."""
    return instrument_id.partition(".")[0].rpartition("-")[2]
