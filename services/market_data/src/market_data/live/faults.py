"""What goes wrong with a feed, as a function from what it says to what arrives. Pure, in data time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from common.model.time import NS_PER_SECOND
from market_data.live.connection import Connected, Disconnected, FeedEvent, Heartbeat, QuoteSeen
from market_data.live.settings import Fault, FaultSettings

RAMP: Final = 0.25  # share of a drift in which it grows to its size
replace = msgspec.structs.replace


class Span(msgspec.Struct):
    """One fault from `begin` up to `end`, ns. `last` is what each symbol was quoted at when it began."""

    kind: Fault
    begin: int
    end: int
    size: float
    last: dict[str, QuoteSeen]


def spans(faults: Sequence[FaultSettings], origin: int) -> list[Span]:
    """In order of time."""
    found = [
        Span(
            one.kind,
            origin + round(one.at_s * NS_PER_SECOND),
            origin + round((one.at_s + one.for_s) * NS_PER_SECOND),
            one.size,
            {},
        )
        for one in faults
    ]
    return sorted(found, key=lambda span: span.begin)


def inject(events: Iterable[FeedEvent], planned: Sequence[Span]) -> Iterator[FeedEvent]:
    """The events with the faults, which must not overlap. Connected comes first."""
    ahead, current = list(planned), None
    last: dict[str, QuoteSeen] = {}
    for event in events:
        now = event.ts_received
        if current is not None and now >= current.end:
            if current.kind is Fault.DISCONNECT:
                yield Connected(ts_received=current.end)
            current = None
        if current is None and ahead and now >= ahead[0].begin:
            current = ahead.pop(0)
            current.last = dict(last)
            if current.kind is Fault.DISCONNECT:
                yield Disconnected(ts_received=current.begin, reason="injected")
        if isinstance(event, QuoteSeen):
            last[event.symbol] = event
        if current is None:
            yield event
        else:
            yield from _spoiled(event, current)


def beating(events: Iterable[QuoteSeen], heartbeat_ns: int) -> Iterator[FeedEvent]:
    """Connected and the quotes, with a Heartbeat wherever there was nothing for so long; none for 0."""
    before = 0
    for event in events:
        if not before:
            before = event.ts_received
            yield Connected(ts_received=before)
        while heartbeat_ns and before + heartbeat_ns < event.ts_received:
            before += heartbeat_ns
            yield Heartbeat(ts_received=before)
        before = event.ts_received
        yield event


def _spoiled(event: FeedEvent, span: Span) -> Iterator[FeedEvent]:
    if span.kind in {Fault.SILENCE, Fault.DISCONNECT}:
        return
    if not isinstance(event, QuoteSeen):
        yield event
        return
    yield from _SPOILED[span.kind](event, span)


def _frozen(event: QuoteSeen, span: Span) -> Iterator[QuoteSeen]:
    """The last price again and again, under new times."""
    if still := span.last.get(event.symbol):
        yield replace(event, bid=still.bid, ask=still.ask)


def _drifted(event: QuoteSeen, span: Span) -> Iterator[QuoteSeen]:
    grown = min(1.0, (event.ts_received - span.begin) / max(1.0, RAMP * (span.end - span.begin)))
    factor = 1.0 + span.size * 1e-4 * grown
    yield replace(event, bid=event.bid * factor, ask=event.ask * factor)


def _crossed(event: QuoteSeen, span: Span) -> Iterator[QuoteSeen]:
    mid, half = (event.bid + event.ask) / 2, max(abs(event.ask - event.bid) / 2, event.ask * 1e-5)
    yield replace(event, bid=mid + half, ask=mid - half)


def _skewed(event: QuoteSeen, span: Span) -> Iterator[QuoteSeen]:
    yield replace(event, ts_venue=event.ts_venue - round(span.size * NS_PER_SECOND))


def _doubled(event: QuoteSeen, span: Span) -> Iterator[QuoteSeen]:
    yield event
    for _ in range(round(span.size)):
        yield event


_SPOILED: Final[dict[Fault, Callable[[QuoteSeen, Span], Iterator[QuoteSeen]]]] = {
    Fault.FREEZE: _frozen,
    Fault.DRIFT: _drifted,
    Fault.CROSSED: _crossed,
    Fault.SKEW: _skewed,
    Fault.DUPLICATES: _doubled,
}
