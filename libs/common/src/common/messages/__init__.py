"""Everything that can be said on the tape. A message that is not in `MESSAGES` does not exist."""

from __future__ import annotations

from typing import Final

from common.messages.base import Envelope, Message
from common.messages.control import InstrumentsDefined, RunStarted
from common.messages.market_data import MarketDataEnded, MarketSlice, RowsQuarantined
from common.messages.orders import (
    ExecutionStep,
    GuardianLost,
    IntentFailed,
    IntentRecorded,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
)
from common.messages.portfolio import PortfolioStep
from common.messages.regime import RegimeStep
from common.messages.risk import HaltTrading, LadderChanged, ResumeTrading, RiskStep, TradingStateChanged
from common.messages.signals import SignalsStep

MESSAGES: Final[tuple[type[Message], ...]] = (
    RunStarted,
    InstrumentsDefined,
    MarketSlice,
    RowsQuarantined,
    MarketDataEnded,
    RegimeStep,
    SignalsStep,
    PortfolioStep,
    OrderApproved,
    OrderDenied,
    OrderSubmitted,
    OrderAccepted,
    OrderRejected,
    OrderFilled,
    OrderCanceled,
    OrderExpired,
    ExecutionStep,
    IntentRecorded,
    IntentFailed,
    GuardianLost,
    RiskStep,
    TradingStateChanged,
    LadderChanged,
    HaltTrading,
    ResumeTrading,
)

__all__ = ["MESSAGES", "Envelope", "Message", *(message.__name__ for message in MESSAGES)]
