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


class Algorithm(StrEnum):
    """How execution works an order (EXE-05)."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"  # post-only at the near side, then across when time is up
    TWAP = "TWAP"
    VWAP = "VWAP"


class OrderState(StrEnum):
    """FIX order states, as far as this system reaches them."""

    APPROVED = "APPROVED"  # by the guardian; the intent is not yet recorded
    HELD = "HELD"  # recorded; waits for its parent to fill, or is worked by an algorithm's children
    SUBMITTED = "SUBMITTED"
    UNKNOWN = "UNKNOWN"  # sent, and whether the venue has it is not known: asked before it is sent again
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
    UNKNOWN_ORDER = "UNKNOWN_ORDER"  # an amendment of an order that does not work
    DUPLICATE_ID = "DUPLICATE_ID"
    DUPLICATE_CONTENT = "DUPLICATE_CONTENT"  # the same order again within the window
    REPEATED_EXECUTION = "REPEATED_EXECUTION"  # an automat gone wild: only a person switches it on again
    STRATEGY_HALTED = "STRATEGY_HALTED"
    INSTRUMENT_HALTED = "INSTRUMENT_HALTED"
    RESTRICTED = "RESTRICTED"  # on the restricted list
    CANCEL_RATE = "CANCEL_RATE"
    STRATEGY_ORDER_RATE = "STRATEGY_ORDER_RATE"
    NOTIONAL_RATE = "NOTIONAL_RATE"
    OPEN_ORDERS = "OPEN_ORDERS"
    SELF_TRADE = "SELF_TRADE"
    DAILY_VOLUME = "DAILY_VOLUME"  # too large a share of the average daily volume
    MAX_NET_EXPOSURE = "MAX_NET_EXPOSURE"
    MAX_DEPLOYED = "MAX_DEPLOYED"
    MAX_LEVERAGE = "MAX_LEVERAGE"
    MAX_STRATEGY_TYPE = "MAX_STRATEGY_TYPE"
    MAX_SECTOR = "MAX_SECTOR"
    MAX_CURRENCY = "MAX_CURRENCY"
    MAX_CORRELATED = "MAX_CORRELATED"  # combined exposure of instruments that move together
    MAX_HEAT = "MAX_HEAT"
    MAX_VAR = "MAX_VAR"
    MAX_ES = "MAX_ES"
    MAX_STRESS_LOSS = "MAX_STRESS_LOSS"
    DAILY_LOSS = "DAILY_LOSS"
    MAX_DRAWDOWN = "MAX_DRAWDOWN"
    NO_QUOTE = "NO_QUOTE"  # a market order where the market has no quote to trade against
    CLOCK_JUMP = "CLOCK_JUMP"
    VERSION_MISMATCH = "VERSION_MISMATCH"  # the producer was built from other contracts
    RECONCILIATION_BREAK = "RECONCILIATION_BREAK"  # our book and the venue's differ in this instrument
    VENUE_DOWN = "VENUE_DOWN"  # the circuit breaker is open
    CHILD_EXCEEDS_PARENT = "CHILD_EXCEEDS_PARENT"
    UNSUPPORTED = "UNSUPPORTED"  # a combination that no venue could live by
    ORDER_RATE = "ORDER_RATE"
    STALE_PRICE = "STALE_PRICE"
    NO_PRICE = "NO_PRICE"
    MARKET_CLOSED = "MARKET_CLOSED"
    OUTSIDE_WINDOW = "OUTSIDE_WINDOW"  # not an hour in which this instrument is traded
    EVENT_BLACKOUT = "EVENT_BLACKOUT"  # too near a scheduled event of the instrument's currencies
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


class Severity(StrEnum):
    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"
