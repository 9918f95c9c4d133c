"""One target book out of many opinions."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

import msgspec

from common.messages.base import Message
from common.messages.orders import Order


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy's share of a target, in units of the instrument, with the factors that made its size (PFL-03).

    `risk` is what is lost at the stop, in the account currency.
    """

    strategy_id: str
    timeframe: str
    signed_qty: Decimal
    risk: Decimal
    base: Decimal
    volatility_adjustment: float
    correlation_adjustment: float
    regime_adjustment: float
    reason: str


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where the book wants to be in one instrument, and why."""

    instrument_id: str
    signed_qty: Decimal
    held_qty: Decimal  # position plus what working orders will add
    contributions: tuple[Contribution, ...]
    reason: str  # new signal, stop, rebalance, exposure cut


class PortfolioStep(Message, frozen=True, kw_only=True):
    """Answer to one signals.step and execution.step.

    Money in the account currency. `equity` is None while a held instrument has no price. `total_risk` is the sum of
    what the book would lose at its stops. Only targets that changed are listed.
    """

    TYPE: ClassVar[str] = "portfolio.step.v1"

    book: str
    step: int
    equity: Decimal | None
    gross_exposure: Decimal
    net_exposure: Decimal
    total_risk: Decimal
    targets: tuple[Target, ...] = ()
    orders: tuple[Order, ...] = ()
