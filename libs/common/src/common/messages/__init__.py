"""Everything that can be said on the tape. A message that is not in `MESSAGES` does not exist."""

from __future__ import annotations

from typing import Final

from common.messages.base import Envelope, Message
from common.messages.control import (
    EnableFeature,
    FeatureChanged,
    InstrumentsDefined,
    LeaseTaken,
    RunStarted,
    ServiceStarted,
)
from common.messages.market_data import MarketDataEnded, MarketSlice, RowsQuarantined
from common.messages.orders import (
    AmendApproved,
    AmendOrder,
    AmendRejected,
    CancelOrder,
    CancelRejected,
    ExecutionPlanned,
    ExecutionStep,
    GuardianLost,
    IntentFailed,
    IntentRecorded,
    OrderAccepted,
    OrderAmended,
    OrderApproved,
    OrderCanceled,
    OrderCosted,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
    ProposeOrders,
    Reconciled,
    ReconciliationBreak,
    VenueHealth,
)
from common.messages.portfolio import PortfolioStep
from common.messages.regime import RegimeStep
from common.messages.risk import (
    AcknowledgeAlert,
    AlertAcknowledged,
    AlertRaised,
    HaltScope,
    HaltTrading,
    LadderChanged,
    ResumeTrading,
    RiskMeasured,
    RiskStep,
    RunStress,
    ScopeHalted,
    StressTested,
    TradingStateChanged,
)
from common.messages.signals import SignalsStep
from common.messages.venue import VenueConnection, VenueReported, VenueSnapshot

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
    HaltScope,
    ProposeOrders,
    CancelOrder,
    AmendOrder,
    AmendApproved,
    OrderAmended,
    AmendRejected,
    CancelRejected,
    ExecutionPlanned,
    OrderCosted,
    ReconciliationBreak,
    Reconciled,
    VenueHealth,
    VenueReported,
    VenueSnapshot,
    VenueConnection,
    ScopeHalted,
    RiskMeasured,
    StressTested,
    RunStress,
    AlertRaised,
    AcknowledgeAlert,
    AlertAcknowledged,
    FeatureChanged,
    EnableFeature,
    LeaseTaken,
    ServiceStarted,
)

__all__ = ["MESSAGES", "Envelope", "Message", *(message.__name__ for message in MESSAGES)]
