"""What a chronicle keeps of a run."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from common.messages.orders import OrderFilled
from common.model.money import ZERO
from research.report.attribution import Key
from research.report.volume import VolumeLevel

UNKNOWN: Final = "-"
EXAMPLES: Final = 3  # of every kind of refusal


class Trade(msgspec.Struct, kw_only=True):
    """A round trip in one instrument, from flat to flat; still open while `exit_ns` is 0. `qty` is the largest held. `first_px`
    and `last_px` are those of the first and the last fill; `entry_px()` and `exit_px()` average all that opened or grew the
    position and all that shrank it. `profit` (after commission, at the rate of the exit, without financing) and `commission` in the
    account currency; `strategies` are those that contributed to the target at the entry, the largest share first; `earned` is
    what contributions made in it, before commission, by strategy and timeframe.
    """

    instrument_id: str
    side: str
    entry_ns: int
    strategies: tuple[str, ...] = ()
    timeframe: str = UNKNOWN
    regime: str = UNKNOWN
    session: str = UNKNOWN
    volume: VolumeLevel = VolumeLevel.NONE
    exit_ns: int = 0
    first_px: Decimal = ZERO
    last_px: Decimal = ZERO
    qty: Decimal = ZERO
    held: Decimal = ZERO
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    paid: Decimal = ZERO  # in the quote currency, for what was bought
    received: Decimal = ZERO
    cash: Decimal = ZERO
    profit: float | None = None
    commission: float = 0.0
    earned: dict[Key, float] = msgspec.field(default_factory=dict)

    def add(self, fill: OrderFilled, rate: Decimal) -> None:
        """`rate`: account currency for one unit of the quote currency."""
        value = fill.last_qty * fill.last_px
        if fill.side.sign > 0:
            self.bought += fill.last_qty
            self.paid += value
        else:
            self.sold += fill.last_qty
            self.received += value
        self.held += fill.signed_qty
        self.last_px = fill.last_px
        self.qty = max(self.qty, abs(self.held))
        self.cash -= fill.signed_qty * fill.last_px + fill.commission
        self.commission += float(fill.commission * rate)

    def entry_px(self) -> float:
        value, qty = (self.paid, self.bought) if self.side == "LONG" else (self.received, self.sold)
        return float(value / qty)

    def exit_px(self) -> float | None:
        """None while open."""
        value, qty = (self.received, self.sold) if self.side == "LONG" else (self.paid, self.bought)
        return float(value / qty) if self.exit_ns else None


class Refusal(msgspec.Struct):
    """Orders refused or cut for one reason."""

    count: int = 0
    first_ns: int = 0
    last_ns: int = 0
    examples: list[str] = msgspec.field(default_factory=list)


def note(into: dict[str, Refusal], reason: str, ts_ns: int, example: str) -> None:
    """Counts one more of its kind."""
    refusal = into.setdefault(str(reason), Refusal(first_ns=ts_ns))
    refusal.count += 1
    refusal.last_ns = ts_ns
    if len(refusal.examples) < EXAMPLES:
        refusal.examples.append(example)


class Event(msgspec.Struct):
    """A change of what may be traded. `level` is `bad`, `warn` or `good`."""

    ts_ns: int
    what: str
    level: str
    detail: str


class Costs(msgspec.Struct):
    """Money in the account currency, positive is worse. `spread` is half the quoted spread of every fill that took liquidity;
    `slippage` is all by which fills were worse than the price at decision, so `spread` is a part of it. `financing` is what
    holding overnight cost; below 0 it was received.
    """

    commission: float = 0.0
    spread: float = 0.0
    slippage: float = 0.0
    financing: float = 0.0
    turnover: float = 0.0
