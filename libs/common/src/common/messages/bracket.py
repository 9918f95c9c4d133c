"""An order by hand and its exits, as page and terminal both make them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

from common.messages.orders import Order
from common.model.enums import OrderType, Side, TimeInForce
from common.model.parties import MANUAL

_PRICES: Final[dict[OrderType, tuple[str, ...]]] = {
    OrderType.MARKET: (),
    OrderType.LIMIT: ("limit_px",),
    OrderType.STOP: ("stop_px",),
    OrderType.STOP_LIMIT: ("limit_px", "stop_px"),
}


class Bracket(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants: an entry, and where to get out of it. `ref_px` is the price that was seen."""

    instrument_id: str
    side: Side
    qty: Decimal
    ref_px: Decimal
    order_type: OrderType = OrderType.MARKET
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    post_only: bool = False
    stop_loss_px: Decimal | None = None
    take_profit_px: Decimal | None = None

    def complaint(self) -> str:
        """The first thing that cannot be meant, beginning with the name of its field; empty when all is well."""
        return next(self._complaints(), "")

    def orders(self, *, account: str, order_id: str, author: str) -> tuple[Order, ...]:
        """The entry, and exits that are held back until it fills; when one of them is done both are."""
        entry = Order(
            client_order_id=order_id,
            account=account,
            strategy_id=MANUAL,
            reason=f"by hand, {author}",
            **{name: getattr(self, name) for name in _OF_THE_ENTRY},
        )
        back: dict[str, Any] = {
            "account": account,
            "strategy_id": MANUAL,
            "instrument_id": self.instrument_id,
            "side": Side.SELL if self.side is Side.BUY else Side.BUY,
            "qty": self.qty,
            "ref_px": self.ref_px,
            "reduce_only": True,
            "parent_id": order_id,
            "oco_group": f"{order_id}-exits",
        }
        exits = []
        if self.stop_loss_px is not None:
            stop: dict[str, Any] = {"order_type": OrderType.STOP, "stop_px": self.stop_loss_px, "reason": "stop loss"}
            exits.append(Order(client_order_id=f"{order_id}-stop", **back, **stop))
        if self.take_profit_px is not None:
            limit: dict[str, Any] = {"order_type": OrderType.LIMIT, "limit_px": self.take_profit_px}
            exits.append(Order(client_order_id=f"{order_id}-target", reason="take profit", **back, **limit))
        return (entry, *exits)

    def _complaints(self) -> Iterator[str]:
        needed = _PRICES[self.order_type]
        for name in ("limit_px", "stop_px"):
            if (getattr(self, name) is not None) is not (name in needed):
                yield f"{name}: {'missing' if name in needed else 'not expected'} in a {self.order_type} order"
        if self.post_only and self.order_type is not OrderType.LIMIT:
            yield f"post_only: a {self.order_type} order cannot wait in the book; expected a LIMIT order"
        if self.time_in_force is TimeInForce.GTD:
            yield "time_in_force = GTD: expected GTC, IOC or FOK; an order by hand has no date"
        if self.post_only and self.time_in_force is not TimeInForce.GTC:
            yield f"post_only: an order that is {self.time_in_force} does not wait"
        yield from self._exits_on_the_wrong_side()

    def _exits_on_the_wrong_side(self) -> Iterator[str]:
        """Seen from where the entry trades, not from where the market is: an exit beyond it would fire at once."""
        at = next(px for px in (self.limit_px, self.stop_px, self.ref_px) if px is not None)
        sign = self.side.sign
        for name, beyond in (("stop_loss_px", -sign), ("take_profit_px", sign)):
            px = getattr(self, name)
            if px is not None and self.reduce_only:
                yield f"{name}: an order that only reduces opens nothing to get out of"
            if px is not None and (px - at) * beyond <= 0:
                where = "above" if beyond > 0 else "below"
                yield f"{name} = {px}: expected a price {where} {at}, where the {self.side} trades"


_OF_THE_ENTRY: Final = tuple(name for name in Bracket.__struct_fields__ if name in Order.__struct_fields__)
