"""Who says what, and who listens: one table for subjects, NATS permissions, tests and the docs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from common import messages as m
from common.messages.base import Message


class Route(NamedTuple):
    """`publishers` may put the message on the tape; `ids` gives the tokens after its type."""

    publishers: tuple[str, ...]
    ids: Callable[[Any], tuple[str, ...]]


def _book(message: Any) -> tuple[str, ...]:
    return (message.book,)


def _account_strategy(message: Any) -> tuple[str, ...]:
    owner = getattr(message, "order", message)
    return (owner.account, owner.strategy_id)


def _by_account_strategy(message: Any) -> tuple[str, ...]:
    return (message.by, *_account_strategy(message))


def _by_service(message: Any) -> tuple[str, ...]:
    return (message.service, getattr(message, "book", "leader"))


def _no_ids(message: Any) -> tuple[str, ...]:
    return ()


OPERATORS: Final = ("gateway", "operator")
FEATURED: Final = ("signals", "portfolio", "execution")  # have features that may fail alone (common.isolation)
DECIDING: Final = ("market_data", "regime", "signals", "portfolio", "risk_guardian", "execution")  # from price to order
LEASED: Final = ("risk_guardian", "execution")  # one speaks, others stand by

ROUTES: Final[dict[type[Message], Route]] = {
    m.RunStarted: Route(("market_data",), _book),
    m.InstrumentsDefined: Route(("market_data",), _book),
    m.MarketSlice: Route(("market_data",), _book),
    m.RowsQuarantined: Route(("market_data",), _book),
    m.MarketDataEnded: Route(("market_data",), _book),
    m.FeedChanged: Route(("market_data",), _book),
    m.EventsScheduled: Route(("market_data",), _book),
    m.RegimeStep: Route(("regime",), _book),
    m.OverrideRegime: Route(OPERATORS, _book),
    m.RegimeOverridden: Route(("regime",), _book),
    m.SignalsStep: Route(("signals",), _book),
    m.PortfolioStep: Route(("portfolio",), _book),
    m.OrderApproved: Route(("risk_guardian",), _account_strategy),
    m.OrderDenied: Route(("risk_guardian", "execution"), _by_account_strategy),
    m.OrderSubmitted: Route(("execution",), _account_strategy),
    m.OrderAccepted: Route(("execution",), _account_strategy),
    m.OrderRejected: Route(("execution",), _account_strategy),
    m.OrderFilled: Route(("execution",), _account_strategy),
    m.OrderCanceled: Route(("execution",), _account_strategy),
    m.OrderExpired: Route(("execution",), _account_strategy),
    m.ExecutionStep: Route(("execution",), _book),
    m.IntentRecorded: Route(("execution",), _no_ids),
    m.IntentFailed: Route(("execution",), _no_ids),
    m.GuardianLost: Route(("execution",), _no_ids),
    m.RiskStep: Route(("risk_guardian",), _book),
    m.TradingStateChanged: Route(("risk_guardian",), _book),
    m.LadderChanged: Route(("risk_guardian",), _book),
    m.HaltTrading: Route((*OPERATORS, "risk_guardian"), _book),  # the guardian's own host: a file or a signal
    m.ResumeTrading: Route(OPERATORS, _book),
    m.HaltScope: Route(OPERATORS, _book),
    m.ProposeOrders: Route(OPERATORS, _book),
    m.CancelOrder: Route(OPERATORS, _book),
    m.AmendOrder: Route(OPERATORS, _book),
    m.AmendApproved: Route(("risk_guardian",), _account_strategy),
    m.OrderAmended: Route(("execution",), _account_strategy),
    m.AmendRejected: Route(("execution",), _account_strategy),
    m.CancelRejected: Route(("execution",), _account_strategy),
    m.ExecutionPlanned: Route(("execution",), _account_strategy),
    m.OrderCosted: Route(("execution",), _account_strategy),
    m.FinancingCharged: Route(("execution",), _book),
    m.ReconciliationBreak: Route(("execution",), _book),
    m.Reconciled: Route(("execution",), _book),
    m.VenueHealth: Route(("execution",), _book),
    m.VenueReported: Route(("execution",), _no_ids),
    m.VenueSnapshot: Route(("execution",), _no_ids),
    m.VenueConnection: Route(("execution",), _no_ids),
    m.ScopeHalted: Route(("risk_guardian",), _book),
    m.RiskMeasured: Route(("risk_guardian",), _book),
    m.StressTested: Route(("risk_guardian",), _book),
    m.RunStress: Route(OPERATORS, _book),
    m.AlertRaised: Route(("risk_guardian",), _book),
    m.AcknowledgeAlert: Route(OPERATORS, _book),
    m.AlertAcknowledged: Route(("risk_guardian",), _book),
    m.FeatureChanged: Route(FEATURED, _by_service),
    m.EnableFeature: Route(OPERATORS, _book),
    m.ParametersChanged: Route(OPERATORS, _book),
    m.LeaseTaken: Route(LEASED, _by_service),
    m.ServiceStarted: Route(DECIDING, _by_service),
}

ALL: Final = tuple(ROUTES)
_ORDER_EVENTS: Final = (
    m.OrderAccepted,
    m.OrderRejected,
    m.OrderFilled,
    m.OrderCanceled,
    m.OrderExpired,
    m.OrderAmended,
    m.AmendRejected,
)

INPUTS: Final[dict[str, tuple[type[Message], ...]]] = {
    "market_data": (m.RiskStep,),
    "regime": (m.InstrumentsDefined, m.MarketSlice, m.OverrideRegime),
    "signals": (m.InstrumentsDefined, m.MarketSlice, m.RegimeStep, m.EnableFeature),
    "portfolio": (
        m.InstrumentsDefined,
        m.MarketSlice,
        m.SignalsStep,
        m.ExecutionStep,
        m.OrderDenied,
        m.OrderFilled,
        m.RegimeStep,
        m.RiskStep,
        m.ScopeHalted,
        m.EnableFeature,
    ),
    "risk_guardian": (
        m.InstrumentsDefined,
        m.MarketSlice,
        m.EventsScheduled,
        m.ExecutionStep,
        m.PortfolioStep,
        m.OrderDenied,
        *_ORDER_EVENTS,
        m.FinancingCharged,
        m.HaltTrading,
        m.ResumeTrading,
        m.HaltScope,
        m.ProposeOrders,
        m.AmendOrder,
        m.RunStress,
        m.AcknowledgeAlert,
        m.ReconciliationBreak,
        m.VenueHealth,
        m.FeatureChanged,
    ),
    "execution": (
        m.InstrumentsDefined,
        m.MarketSlice,
        m.OrderApproved,
        m.IntentRecorded,
        m.IntentFailed,
        m.GuardianLost,
        m.TradingStateChanged,
        m.HaltTrading,
        m.CancelOrder,
        m.AmendApproved,
        m.VenueReported,
        m.VenueSnapshot,
        m.VenueConnection,
        m.EnableFeature,
        m.ServiceStarted,
    ),
    "recorder": ALL,
    "gateway": ALL,
    "operator": ALL,
}

# Domains of the tape: the first token of every subject in its stream.
DOMAINS: Final = tuple(dict.fromkeys(message.TYPE.split(".")[0] for message in ROUTES))


# Said by a service's shell, not by its core: answers of the outside world.
FROM_OUTSIDE: Final = (
    m.IntentRecorded,
    m.IntentFailed,
    m.GuardianLost,
    m.VenueReported,
    m.VenueSnapshot,
    m.VenueConnection,
    m.LeaseTaken,
    m.ServiceStarted,
    m.HaltTrading,
    m.ResumeTrading,
    m.HaltScope,
    m.ProposeOrders,
    m.CancelOrder,
    m.AmendOrder,
    m.RunStress,
    m.AcknowledgeAlert,
    m.EnableFeature,
    m.OverrideRegime,
    m.ParametersChanged,
)


def publishes(service: str) -> tuple[type[Message], ...]:
    """Message types that `service` may put on the tape, in table order."""
    return tuple(message for message, route in ROUTES.items() if service in route.publishers)


def pattern(message: type[Message]) -> str:
    """Filter that matches every subject of the type."""
    return message.TYPE if ROUTES[message].ids is _no_ids else f"{message.TYPE}.>"


def own_pattern(message: type[Message], service: str) -> str:
    """Filter that matches what `service`, one of its publishers, says of the type and nobody else does."""
    if ROUTES[message].ids in {_by_account_strategy, _by_service}:
        return f"{message.TYPE}.{service}.>"
    return pattern(message)
