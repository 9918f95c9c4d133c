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


def _no_ids(message: Any) -> tuple[str, ...]:
    return ()


OPERATORS: Final = ("gateway", "operator")

ROUTES: Final[dict[type[Message], Route]] = {
    m.RunStarted: Route(("market_data",), _book),
    m.InstrumentsDefined: Route(("market_data",), _book),
    m.MarketSlice: Route(("market_data",), _book),
    m.RowsQuarantined: Route(("market_data",), _book),
    m.MarketDataEnded: Route(("market_data",), _book),
    m.RegimeStep: Route(("regime",), _book),
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
    m.HaltTrading: Route(OPERATORS, _book),
    m.ResumeTrading: Route(OPERATORS, _book),
}

ALL: Final = tuple(ROUTES)
_ORDER_EVENTS: Final = (
    m.OrderAccepted,
    m.OrderRejected,
    m.OrderFilled,
    m.OrderCanceled,
    m.OrderExpired,
)

INPUTS: Final[dict[str, tuple[type[Message], ...]]] = {
    "market_data": (m.RiskStep,),
    "regime": (m.InstrumentsDefined, m.MarketSlice),
    "signals": (m.InstrumentsDefined, m.MarketSlice, m.RegimeStep),
    "portfolio": (
        m.InstrumentsDefined,
        m.MarketSlice,
        m.SignalsStep,
        m.ExecutionStep,
        m.OrderDenied,
        m.OrderFilled,
        m.RiskStep,
    ),
    "risk_guardian": (
        m.InstrumentsDefined,
        m.MarketSlice,
        m.ExecutionStep,
        m.PortfolioStep,
        m.OrderDenied,
        *_ORDER_EVENTS,
        m.HaltTrading,
        m.ResumeTrading,
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
    ),
    "recorder": ALL,
    "gateway": ALL,
    "operator": ALL,
}

# Domains of the tape: the first token of every subject in its stream.
DOMAINS: Final = tuple(dict.fromkeys(message.TYPE.split(".")[0] for message in ROUTES))


# Said by a service's shell, not by its core: answers of the outside world.
FROM_OUTSIDE: Final = (m.IntentRecorded, m.IntentFailed, m.GuardianLost, m.HaltTrading, m.ResumeTrading)


def publishes(service: str) -> tuple[type[Message], ...]:
    """Message types that `service` may put on the tape, in table order."""
    return tuple(message for message, route in ROUTES.items() if service in route.publishers)


def pattern(message: type[Message]) -> str:
    """Filter that matches every subject of the type."""
    return message.TYPE if ROUTES[message].ids is _no_ids else f"{message.TYPE}.>"


def own_pattern(message: type[Message], service: str) -> str:
    """Filter that matches what `service`, one of its publishers, says of the type and nobody else does."""
    if ROUTES[message].ids is _by_account_strategy:
        return f"{message.TYPE}.{service}.>"
    return pattern(message)
