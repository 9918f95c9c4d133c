"""Why an order happened (PLT-10): rows of the tape in, a readable chain out. Pure.

tick → regime → signal → target → decision → order → fill, each link with what went in and the rule that decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from common import messages as m
from common.errors import DecodeError
from common.messages.base import Envelope, Message
from common.messages.market_data import Bar
from common.messages.orders import Order
from common.messages.portfolio import Contribution
from common.messages.regime import RegimeReading
from common.messages.signals import Signal
from common.runtime.codec import decode

Link = dict[str, Any]


class Subject(msgspec.Struct, frozen=True):
    """The order in question, and who is behind it."""

    client_order_id: str
    instrument_id: str
    strategies: frozenset[tuple[str, str]] = frozenset()  # (strategy, timeframe)

    @property
    def timeframes(self) -> frozenset[str]:
        return frozenset(timeframe for _, timeframe in self.strategies)


def chain(client_order_id: str, rows: Iterable[Mapping[str, Any]]) -> list[Link]:
    """One link per thing that led to the order or became of it, in tape order. `rows` are whole rows of `tape`."""
    said = [(row, message) for row in rows if (message := _message(row)) is not None]
    subject = _subject(client_order_id, [message for _, message in said])
    return [
        {"seq": row["seq"], "ts_event": row["ts_event"], "type": row["type"], "by": row["source"], **link}
        for row, message in said
        for link in RULES.get(type(message), _nothing)(subject, message)
    ]


def _message(row: Mapping[str, Any]) -> Message | None:
    fields = {name: row[name] for name in Envelope.__struct_fields__ if name != "data"}
    try:
        return decode(Envelope(**fields, data=msgspec.Raw(row["data"].encode())))
    except DecodeError:
        return None  # of a version this build does not know: it is in the dead letters


def _subject(client_order_id: str, messages: Iterable[Message]) -> Subject:
    instrument_id, behind = "", frozenset[tuple[str, str]]()
    for message in messages:
        for order in _orders(message):
            if order.client_order_id == client_order_id:
                instrument_id = order.instrument_id
    for message in messages:
        if isinstance(message, m.PortfolioStep):
            behind |= {(one.strategy_id, one.timeframe) for one in _contributions(instrument_id, message)}
    return Subject(client_order_id, instrument_id, behind)


def _orders(message: Message) -> tuple[Order, ...]:
    match message:
        case m.PortfolioStep() | m.ProposeOrders():
            return message.orders
        case m.OrderApproved() | m.OrderDenied() | m.OrderSubmitted() | m.OrderAmended():
            return (message.order,)
        case _:
            return ()


def _contributions(instrument_id: str, message: m.PortfolioStep) -> list[Contribution]:
    targets = [target for target in message.targets if target.instrument_id == instrument_id]
    return [one for target in targets for one in target.contributions]


# --- one rule a message: what it contributes to the chain ------------------------------------------------------------
def _tick(subject: Subject, message: m.MarketSlice) -> list[Link]:
    bars = [bar for bar in message.bars if bar.instrument_id == subject.instrument_id]
    bars = [bar for bar in bars if bar.base or bar.timeframe in subject.timeframes]
    quotes = [quote for quote in message.quotes if quote.instrument_id == subject.instrument_id]
    said = [_bar(bar) for bar in bars] + [f"bid {quote.bid:g}, ask {quote.ask:g}" for quote in quotes]
    return [_link("tick", "; ".join(said), "the bars that closed", bars=bars, quotes=quotes)] if said else []


def _bar(bar: Bar) -> str:
    return f"{bar.timeframe} bar of {bar.instrument_id} closed at {bar.close:g}"


def _regime(subject: Subject, message: m.RegimeStep) -> list[Link]:
    mine = [reading for reading in message.readings if reading.instrument_id == subject.instrument_id]
    mine = [reading for reading in mine if not subject.timeframes or reading.timeframe in subject.timeframes]
    return [_link("regime", _reading(one), "the values that decided (REG-01, REG-02)", reading=one) for one in mine]


def _reading(reading: RegimeReading) -> str:
    values = {"ADX": reading.adx, "choppiness": reading.chop, "volatility ratio": reading.vol_ratio}
    shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items() if value is not None)
    head = f"{reading.instrument_id} {reading.timeframe} is {reading.regime}, volatility {reading.vol_state}"
    return f"{head} (confidence {reading.confidence:.0%}{'; ' + shown if shown else ''})"


def _signals(subject: Subject, message: m.SignalsStep) -> list[Link]:
    mine = [signal for signal in message.signals if signal.instrument_id == subject.instrument_id]
    mine = [signal for signal in mine if (signal.strategy_id, signal.timeframe) in subject.strategies]
    return [_link("signal", _signal(one), one.reason, signal=one) for one in mine]


def _signal(signal: Signal) -> str:
    sure = f"strength {signal.strength:.0%}, confidence {signal.confidence:.0%}"
    return f"{signal.strategy_id} ({signal.tier}) wants {signal.direction} on {signal.timeframe}: {sure}"


def _target(subject: Subject, message: m.PortfolioStep) -> list[Link]:
    targets = [target for target in message.targets if target.instrument_id == subject.instrument_id]
    orders = [order for order in message.orders if order.client_order_id == subject.client_order_id]
    return [
        *(
            _link(
                "target",
                f"hold {_plain(target.signed_qty)} instead of {_plain(target.held_qty)}",
                target.reason,
                target=target,
            )
            for target in targets
        ),
        *(_link("proposed", _order(order), order.reason, order=order) for order in orders),
    ]


def _order(order: Order) -> str:
    return f"{order.side} {_plain(order.qty)} {order.instrument_id} {order.order_type} at about {_plain(order.ref_px)}"


def _approved(subject: Subject, message: m.OrderApproved) -> list[Link]:
    resized = f", resized from {_plain(message.resized_from)}" if message.resized_from is not None else ""
    return [_link("decision", f"approved: {_order(message.order)}{resized}", message.rule or "every check passed")]


def _denied(subject: Subject, message: m.OrderDenied) -> list[Link]:
    why = f"observed {_plain(message.observed)}, limit {_plain(message.limit)}"
    rule = f"{message.code}: {'; '.join(filter(None, (why, message.detail)))}"
    return [_link("decision", f"denied: {_order(message.order)}", rule, code=message.code)]


def _filled(subject: Subject, message: m.OrderFilled) -> list[Link]:
    what = f"{message.side} {_plain(message.last_qty)} at {_plain(message.last_px)}, {_plain(message.leaves_qty)} left"
    cost = f"{message.slippage_bps:.2f} bps against {_plain(message.ref_px)}"
    rule = f"slippage {cost}, commission {_plain(message.commission)} {message.commission_currency}"
    return [_link("fill", what, rule, fill=message)]


def _ladder(subject: Subject, message: m.LadderChanged) -> list[Link]:
    what = f"ladder {message.ladder} went from level {message.previous} to {message.level}"
    return [
        _link("ladder", what, f"observed {message.observed:.4g}, threshold {message.threshold:.4g}", ladder=message)
    ]


def _halt(subject: Subject, message: m.HaltTrading) -> list[Link]:
    return [_link("command", f"halt by {message.author}", message.reason, flatten=message.flatten)]


def _manual(subject: Subject, message: m.ProposeOrders) -> list[Link]:
    orders = [order for order in message.orders if order.client_order_id == subject.client_order_id]
    return [_link("proposed", _order(order), f"by hand, {message.author}", order=order) for order in orders]


def _planned(subject: Subject, message: m.ExecutionPlanned) -> list[Link]:
    cost = f"{message.expected_bps:.2f} bps expected, {message.naive_bps:.2f} at once"
    return [_link("plan", f"{message.algorithm} in {message.slices}: {cost}", message.reason, plan=message)]


def _costed(subject: Subject, message: m.OrderCosted) -> list[Link]:
    parts = f"slippage {message.slippage_bps:.2f} + fees {message.fee_bps:.2f}, {message.expected_bps:.2f} expected"
    return [_link("cost", f"cost {message.total_bps:.2f} bps", parts, cost=message)]


def _say(stage: str, what: Callable[[Any], str], rule: Callable[[Any], str]) -> Rule:
    return lambda subject, message: [_link(stage, what(message), rule(message))]


def _link(stage: str, what: str, rule: str, **inputs: Any) -> Link:
    return {"stage": stage, "what": what, "rule": rule, "inputs": inputs}


def _plain(value: Any) -> str:
    """12.50 as 12.5 and 1E+3 as 1000."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _nothing(subject: Subject, message: Message) -> list[Link]:
    return []


Rule = Callable[[Subject, Any], list[Link]]

RULES: Final[dict[type[Message], Rule]] = {
    m.HaltTrading: _halt,
    m.LadderChanged: _ladder,
    m.MarketSlice: _tick,
    m.RegimeStep: _regime,
    m.SignalsStep: _signals,
    m.PortfolioStep: _target,
    m.ProposeOrders: _manual,
    m.ExecutionPlanned: _planned,
    m.OrderCosted: _costed,
    m.OrderAmended: _say("order", lambda it: f"amended: {_order(it.order)}", lambda _: "by the venue"),
    m.AmendApproved: _say("decision", lambda it: f"amendment approved: {_order(it.order)}", lambda _: "checks passed"),
    m.AmendRejected: _say("order", lambda _: "not amended", lambda it: it.reason),
    m.CancelRejected: _say("order", lambda _: "not canceled", lambda it: it.reason),
    m.OrderApproved: _approved,
    m.OrderDenied: _denied,
    m.IntentRecorded: _say("order", lambda _: "intent written and committed", lambda _: "recorded before it is sent"),
    m.IntentFailed: _say("order", lambda it: f"not sent: {it.code}", lambda it: it.detail),
    m.OrderSubmitted: _say("order", lambda it: f"submitted: {_order(it.order)}", lambda _: "the venue hears of it"),
    m.OrderAccepted: _say("order", lambda it: f"accepted as {it.venue_order_id}", lambda _: "by the venue"),
    m.OrderRejected: _say("order", lambda _: "rejected by the venue", lambda it: it.reason),
    m.OrderFilled: _filled,
    m.OrderCanceled: _say("order", lambda it: f"canceled with {_plain(it.leaves_qty)} left", lambda it: it.reason),
    m.OrderExpired: _say("order", lambda it: f"expired with {_plain(it.leaves_qty)} left", lambda _: "time in force"),
}
