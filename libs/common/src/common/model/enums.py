"""Closed vocabularies. A value is never reused for another meaning (a lesson of Knight Capital)."""

from __future__ import annotations

from enum import StrEnum


class AssetClass(StrEnum):
    FX = "FX"
    CRYPTO = "CRYPTO"
    EQUITY = "EQUITY"


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"


class TimeInForce(StrEnum):
    GTC = "GTC"  # until canceled
    GTD = "GTD"  # until `expire_ns`
    IOC = "IOC"  # what fills at the first chance; the rest is canceled
    FOK = "FOK"  # all of it at the first chance, or nothing


class OrderState(StrEnum):
    """FIX order states, as far as this system reaches them."""

    APPROVED = "APPROVED"  # by the guardian; the intent is not yet recorded
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"  # by the venue
    DENIED = "DENIED"  # by us


class TradingState(StrEnum):
    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"  # only orders that shrink a position, never past zero
    HALTED = "HALTED"  # only cancels, and flattening by the guardian


class Direction(StrEnum):
    LONG = "LONG"
    SHORT = "SHORT"
    FLAT = "FLAT"

    @property
    def sign(self) -> int:
        """+1 LONG, -1 SHORT, 0 FLAT."""
        return {Direction.LONG: 1, Direction.SHORT: -1, Direction.FLAT: 0}[self]


class Tier(StrEnum):
    CORE = "core"
    GROWTH = "growth"
    TACTICAL = "tactical"


class Regime(StrEnum):
    TRENDING_UP = "TRENDING_UP"
    TRENDING_DOWN = "TRENDING_DOWN"
    RANGING = "RANGING"
    CHOPPY = "CHOPPY"
    VOLATILE = "VOLATILE"
    CRISIS = "CRISIS"
    UNCERTAIN = "UNCERTAIN"


class VolState(StrEnum):
    """Current over normal volatility: below 1.5, 1.5 to 2.5, above 2.5 (REG-02)."""

    NORMAL = "NORMAL"
    ELEVATED = "ELEVATED"
    STRESS = "STRESS"


class DenyCode(StrEnum):
    """Why the guardian, or execution itself, refused an order."""

    TRADING_HALTED = "TRADING_HALTED"
    WOULD_INCREASE = "WOULD_INCREASE"  # REDUCING: the order opens, grows or flips a position
    UNKNOWN_INSTRUMENT = "UNKNOWN_INSTRUMENT"
    UNKNOWN_ACCOUNT = "UNKNOWN_ACCOUNT"
    DUPLICATE_ID = "DUPLICATE_ID"
    ORDER_RATE = "ORDER_RATE"
    STALE_PRICE = "STALE_PRICE"
    NO_PRICE = "NO_PRICE"
    MARKET_CLOSED = "MARKET_CLOSED"
    PRICE_COLLAR = "PRICE_COLLAR"
    QTY_INVALID = "QTY_INVALID"  # not positive, or not a multiple of the increment
    MAX_QTY = "MAX_QTY"
    MAX_NOTIONAL = "MAX_NOTIONAL"
    MAX_POSITION = "MAX_POSITION"
    MAX_GROSS_EXPOSURE = "MAX_GROSS_EXPOSURE"
    NO_EQUITY = "NO_EQUITY"
    STALE_APPROVAL = "STALE_APPROVAL"
    GUARDIAN_SILENT = "GUARDIAN_SILENT"
    INTENT_NOT_RECORDED = "INTENT_NOT_RECORDED"
