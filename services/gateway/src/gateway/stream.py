"""What WebSocket clients hear: at most ten times a second per topic the newest values, and what has happened since.

States (prices, regime, portfolio, risk and their like) are conflated: only the newest value of a key counts. Events (trades, orders,
alerts) are kept in order, the newest `MAX_EVENTS` of a tick; `skipped` says how many more there were.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import msgspec

from common import messages as m
from common.messages.base import Envelope, Message

STATES: Final = ("prices", "regime", "models", "market", "feeds", "overrides", "calendar", "portfolio", "risk")
EVENTS: Final = ("trades", "orders", "alerts")
TOPICS: Final = (*STATES, *EVENTS)
MAX_EVENTS: Final = 200
MAX_WAITING: Final = 64  # frames a client may be behind before it is dropped

_encoder = msgspec.json.Encoder()
News = tuple[str, str, Any]  # topic, key (for states), value


def _prices(message: m.MarketSlice) -> list[News]:
    last = {bar.instrument_id: bar.close for bar in message.bars if bar.base}
    last |= {quote.instrument_id: (quote.bid + quote.ask) / 2 for quote in message.quotes}
    return [("prices", name, px) for name, px in last.items()]


def _regimes(message: m.RegimeStep) -> list[News]:
    readings: list[News] = [("regime", f"{one.instrument_id}|{one.timeframe}", one) for one in message.readings]
    models: list[News] = [("models", f"{one.instrument_id}|{one.timeframe}", one) for one in message.models]
    return [*readings, *models, *([("market", "market", message.market)] if message.market else [])]


def _feed(message: m.FeedChanged) -> list[News]:
    return [("feeds", f"{message.instrument_id}|{message.feed}", message)]


def _override(message: m.RegimeOverridden) -> list[News]:
    return [("overrides", message.instrument_id, message)]


def _portfolio(message: m.PortfolioStep) -> list[News]:
    names = ("equity", "gross_exposure", "net_exposure", "total_risk")
    return [("portfolio", name, getattr(message, name)) for name in names]


def _as(topic: str, *, key: str = "") -> Rule:
    def rule(message: Any) -> list[News]:
        return [(topic, key, message)]

    return rule


def _trading_state(message: m.TradingStateChanged) -> list[News]:
    return [("risk", "trading_state", message), ("alerts", "", message)]


def _fill(message: m.OrderFilled) -> list[News]:
    return [("trades", "", message), ("orders", "", message)]


Rule = Callable[[Any], list[News]]

RULES: Final[Mapping[type[Message], Rule]] = {
    m.MarketSlice: _prices,
    m.FeedChanged: _feed,
    m.EventsScheduled: _as("calendar", key="events"),
    m.RegimeStep: _regimes,
    m.RegimeOverridden: _override,
    m.PortfolioStep: _portfolio,
    m.ExecutionStep: _as("portfolio", key="execution"),
    m.RiskStep: _as("risk", key="risk"),
    m.TradingStateChanged: _trading_state,
    m.RiskMeasured: _as("risk", key="measures"),
    m.StressTested: _as("risk", key="stress"),
    **dict.fromkeys((m.LadderChanged, m.AlertRaised, m.AlertAcknowledged, m.ScopeHalted), _as("alerts")),
    **dict.fromkeys((m.FeatureChanged, m.VenueHealth, m.ReconciliationBreak, m.LeaseTaken), _as("alerts")),
    m.GuardianLost: _as("alerts"),
    m.IntentFailed: _as("alerts"),
    m.MarketDataEnded: _as("alerts"),
    m.OrderFilled: _fill,
    **dict.fromkeys((m.OrderApproved, m.OrderDenied, m.OrderSubmitted, m.OrderAccepted), _as("orders")),
    **dict.fromkeys((m.OrderRejected, m.OrderCanceled, m.OrderExpired, m.OrderAmended), _as("orders")),
}


class Outbox:
    """What has become new since the last `drain`."""

    def __init__(self) -> None:
        self._seq = 0
        self._ts_event = 0
        self._states: dict[str, dict[str, Any]] = {}
        self._events: dict[str, deque[dict[str, Any]]] = {}
        self._counts: dict[str, int] = {}

    def note(self, seq: int, message: Message) -> None:
        """How far the tape is, and what time it is in the market: every frame says so, whoever listened meanwhile."""
        self._seq = seq
        if isinstance(message, m.MarketSlice):
            self._ts_event = message.ts_event

    def add(self, seq: int, envelope: Envelope, message: Message) -> None:
        self.note(seq, message)
        rule = RULES.get(type(message))
        for topic, key, value in rule(message) if rule else ():
            if topic in STATES:
                self._states.setdefault(topic, {})[key] = value
                continue
            event = {"seq": seq, "type": envelope.type, **msgspec.structs.asdict(value)}
            self._events.setdefault(topic, deque(maxlen=MAX_EVENTS)).append(event)
            self._counts[topic] = self._counts.get(topic, 0) + 1

    def drain(self) -> dict[str, str]:
        """One frame for each topic with news; the outbox is empty afterwards."""
        at = {"seq": self._seq, "ts_event": self._ts_event}
        frames: dict[str, Any] = {name: {"topic": name, **at, "data": data} for name, data in self._states.items()}
        for name, data in self._events.items():
            frames[name] = {"topic": name, **at, "data": list(data), "skipped": self._counts[name] - len(data)}
        self._states, self._events, self._counts = {}, {}, {}
        return {name: _encoder.encode(frame).decode() for name, frame in frames.items()}


class Client:
    """One listener: what waits for it, and whether it was too slow to be kept."""

    def __init__(self, topics: Collection[str]) -> None:
        self.topics = frozenset(topics)
        self.waiting: asyncio.Queue[str | None] = asyncio.Queue(MAX_WAITING + 1)


class Hub:
    """Hands every frame to every client that wants it."""

    def __init__(self, hz: float) -> None:
        self.clients: set[Client] = set()
        self._outbox = Outbox()
        self._every_s = 1 / hz

    def heard(self, seq: int, envelope: Envelope, message: Message) -> None:
        """Costs next to nothing while nobody listens."""
        if self.clients:
            self._outbox.add(seq, envelope, message)
        else:
            self._outbox.note(seq, message)

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(self._every_s)
            frames = self._outbox.drain()
            for client in tuple(self.clients):
                self._give(client, [frame for topic, frame in frames.items() if topic in client.topics])

    def _give(self, client: Client, frames: list[str]) -> None:
        if client.waiting.qsize() + len(frames) > MAX_WAITING:
            self.clients.discard(client)
            client.waiting.put_nowait(None)  # the end: it does not keep up
            return
        for frame in frames:
            client.waiting.put_nowait(frame)
