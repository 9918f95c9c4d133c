"""What a message changes in the hot state: pure functions from a message to fields of hashes (common.runtime.redis)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from common import messages as m
from common.messages.base import Envelope, Message
from common.runtime.redis import BOOK, FEEDS, LADDERS, MODELS, OVERRIDES, PRICES, REGIMES, SIGNALS, TAPE

_encoder = msgspec.json.Encoder()


class Put(NamedTuple):
    """Sets one field of one hash to a JSON value."""

    hash_name: str
    field: str
    value: str


def changes(seq: int, envelope: Envelope, message: Message) -> list[Put]:
    """In order; a later one of the same field wins."""
    rule = RULES.get(type(message))
    return rule(seq, envelope, message) if rule else []


def _book(field: str) -> Rule:
    """The rule for a message that is the value as it stands."""

    def rule(seq: int, envelope: Envelope, message: Any) -> list[Put]:
        return [Put(BOOK, field, _json({"seq": seq, **msgspec.structs.asdict(message)}))]

    return rule


def _prices(seq: int, envelope: Envelope, message: m.MarketSlice) -> list[Put]:
    """Bars of the finest timeframe; a quote, where there is one, says it better."""
    at = {"seq": seq, "ts_event": message.ts_event}
    bars = {bar.instrument_id: {**at, "px": bar.close, "open": bar.open} for bar in message.bars if bar.base}
    quotes = {
        quote.instrument_id: {**at, "px": (quote.bid + quote.ask) / 2, "bid": quote.bid, "ask": quote.ask}
        for quote in message.quotes
    }
    names = dict.fromkeys((*bars, *quotes))
    prices = [Put(PRICES, name, _json({**bars.get(name, {}), **quotes.get(name, {})})) for name in names]
    return [*prices, Put(TAPE, "ts_event", str(message.ts_event))]


def _regimes(seq: int, envelope: Envelope, message: m.RegimeStep) -> list[Put]:
    at = {"seq": seq, "ts_event": message.ts_event}
    puts = [Put(REGIMES, f"{r.instrument_id}|{r.timeframe}", _json({**at, **_of(r)})) for r in message.readings]
    puts += [Put(MODELS, f"{one.instrument_id}|{one.timeframe}", _json({**at, **_of(one)})) for one in message.models]
    if message.market:
        puts.append(Put(BOOK, "market", _json({**at, **_of(message.market)})))
    return puts


def _signals(seq: int, envelope: Envelope, message: m.SignalsStep) -> list[Put]:
    return [
        Put(
            SIGNALS,
            f"{s.strategy_id}|{s.instrument_id}|{s.timeframe}",
            _json({"seq": seq, "ts_event": message.ts_event, **_of(s)}),
        )
        for s in message.signals
    ]


def _ladder(seq: int, envelope: Envelope, message: m.LadderChanged) -> list[Put]:
    return [Put(LADDERS, message.ladder, _json({"seq": seq, **_of(message)}))]


def _feed(seq: int, envelope: Envelope, message: m.FeedChanged) -> list[Put]:
    return [Put(FEEDS, f"{message.instrument_id}|{message.feed}", _json({"seq": seq, **_of(message)}))]


def _override(seq: int, envelope: Envelope, message: m.RegimeOverridden) -> list[Put]:
    return [Put(OVERRIDES, message.instrument_id, _json({"seq": seq, **_of(message)}))]


def _portfolio(seq: int, envelope: Envelope, message: m.PortfolioStep) -> list[Put]:
    """Without targets and orders, which are history."""
    names = ("ts_event", "book", "step", "equity", "gross_exposure", "net_exposure", "total_risk")
    return [Put(BOOK, "portfolio", _json({"seq": seq, **{name: getattr(message, name) for name in names}}))]


def _of(struct: msgspec.Struct) -> dict[str, Any]:
    return msgspec.structs.asdict(struct)


def _json(value: Any) -> str:
    return _encoder.encode(value).decode()


Rule = Callable[[int, Envelope, Any], list[Put]]

RULES: Final[dict[type[Message], Rule]] = {
    m.RunStarted: _book("run"),
    m.InstrumentsDefined: _book("instruments"),
    m.MarketDataEnded: _book("ended"),
    m.MarketSlice: _prices,
    m.FeedChanged: _feed,
    m.RegimeStep: _regimes,
    m.RegimeOverridden: _override,
    m.SignalsStep: _signals,
    m.PortfolioStep: _portfolio,
    m.ExecutionStep: _book("execution"),
    m.RiskStep: _book("risk"),
    m.TradingStateChanged: _book("trading_state"),
    m.LadderChanged: _ladder,
}
