"""Two feeds, one of which is hurt again and again: how fast the other takes over, and what came through. In data time."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from common.messages.market_data import FeedChanged
from common.model.time import NS_PER_SECOND
from market_data.feed import RawTick
from market_data.live.connection import FeedEvent, QuoteSeen
from market_data.live.faults import RAMP, Span, beating, inject, spans
from market_data.live.settings import Fault, FaultSettings, HealthSettings
from market_data.redundancy.core import Group, Member, Redundancy, Said
from market_data.redundancy.rows import unsound

TICK_NS: Final = 100_000_000
FIRST_S: Final = 60.0
EVERY_S: Final = 300.0  # from one fault to the next: recovered, held and gone back to in between
FOR_S: Final = 40.0
FAR: Final = 1e-4  # a basis point: so far from the truth a price is wrong
FRESH_NS: Final = 2 * NS_PER_SECOND
HURT, OTHER = "hurt", "other"
SIZES: Final = {Fault.DRIFT: 20.0, Fault.SKEW: 30.0, Fault.DUPLICATES: 20.0}


class Result(msgspec.Struct, kw_only=True):
    """Of one drill. `failover_s` are seconds from the first quote that is missing or spoiled until the other feed is active, 0 where
    it was so before that; `away` counts faults that found the other feed active anyway, `unnoticed` those through which nobody
    changed over. `bad` counts rows handed on that are no price, or none that the sound quotes of either feed come near. `unfresh_s` is the time without a believed price at most
    2 s old and near the truth while a newer one was to be had and the active feed, if any, was the hurt one: who is well may have
    nothing to say. `left` counts by its reason how often the active feed was left.
    """

    faults: int = 0
    away: int = 0
    unnoticed: int = 0
    failover_s: list[float] = msgspec.field(default_factory=list)
    rows: int = 0
    bad: int = 0
    switches: int = 0
    left: dict[str, int] = msgspec.field(default_factory=dict)
    seconds: float = 0.0
    unfresh_s: float = 0.0


def plan(kind: Fault, seconds: float) -> list[FaultSettings]:
    """The fault again and again over so many seconds."""
    count = max(0, int((seconds - FIRST_S - FOR_S) // EVERY_S) + 1)
    return [
        FaultSettings(kind=kind, at_s=FIRST_S + number * EVERY_S, for_s=FOR_S, size=SIZES.get(kind, 1.0))
        for number in range(count)
    ]


def drill(
    hurt: Sequence[QuoteSeen],
    other: Sequence[QuoteSeen],
    kind: Fault | None,
    limits: HealthSettings,
    heartbeat_ns: int = 0,
) -> Result:
    """`hurt`, which is the preferred feed, suffers faults of the `kind`, or none. Both begin at about the same time."""
    origin, end = max(hurt[0].ts_received, other[0].ts_received), min(hurt[-1].ts_received, other[-1].ts_received)
    planned = spans(plan(kind, (end - origin) / NS_PER_SECOND), origin) if kind else []
    members = (Member(HURT, hurt[0].symbol, heartbeat_ns), Member(OTHER, other[0].symbol, heartbeat_ns))
    run = _Drill(Redundancy("drill", limits, [Group("DRILL", members)]), limits, origin, kind)
    strikes = [(_onset(span, hurt, limits), span) for span in planned]
    # At one instant: what is true, then what is to be noticed, then what arrives, then the clock.
    happening = heapq.merge(
        _at(_TRUE, HURT, (quote for quote in hurt if unsound(quote) is None)),
        _at(_TRUE, OTHER, (quote for quote in other if unsound(quote) is None)),
        ((onset, _ONSET, "", span) for onset, span in strikes if onset < span.end),
        _at(_ARRIVES, HURT, inject(beating(hurt, heartbeat_ns), planned)),
        _at(_ARRIVES, OTHER, beating(other, heartbeat_ns)),
        ((now, _TICK, "", None) for now in range(origin, end, TICK_NS)),
        key=lambda item: item[:2],
    )
    for now, what, feed, event in happening:
        if now > end:
            break
        run.hear(now, what, feed, event)
    return run.over()


_TRUE, _ONSET, _ARRIVES, _TICK = range(4)
Happening = tuple[int, int, str, Any]


def _at(what: int, feed: str, events: Iterable[FeedEvent]) -> Iterator[Happening]:
    return ((event.ts_received, what, feed, event) for event in events)


def _onset(span: Span, hurt: Sequence[QuoteSeen], limits: HealthSettings) -> int:
    """The first quote that is missing or spoiled. Of a drift the first that it takes beyond what is allowed, of a freeze the
    first that is as far from the price it stands at as makes a difference; the end of the fault where there is none.
    """
    begin, far = span.begin, 0.0
    if span.kind is Fault.DISCONNECT:
        return begin
    if span.kind is Fault.DRIFT:
        begin += round(RAMP * (span.end - begin) * limits.drift_bps / span.size)
    if span.kind is Fault.FREEZE:
        far = FAR
    at = bisect_left(hurt, begin, key=_arrival)
    still = _mid(hurt[max(at - 1, 0)])
    after = (quote for quote in islice(hurt, at, None) if abs(_mid(quote) / still - 1.0) >= far)
    first = next(after, None)
    return min(first.ts_received, span.end) if first else span.end


def _arrival(quote: QuoteSeen) -> int:
    return quote.ts_received


def _mid(quote: QuoteSeen) -> float:
    return (quote.bid + quote.ask) / 2


class _Drill:
    def __init__(self, core: Redundancy, limits: HealthSettings, origin: int, kind: Fault | None) -> None:
        self._core, self._origin, self._now = core, origin, origin
        self._tolerance, self._close = limits.drift_bps * 1e-4, FAR
        self._result = Result()
        self._active, self._nobody = "", True  # whom nobody has followed yet stays the active one
        self._struck: int | None = None
        self._hurt_until = self._changed_ns = self._onset_ns = 0
        self._believed_ns = 0
        self._newest = {HURT: 0, OTHER: 0}
        self._withheld = kind not in {Fault.FREEZE, Fault.SKEW, Fault.DUPLICATES}
        self._true: dict[str, float] = {}

    def hear(self, now: int, what: int, feed: str, event: Any) -> None:
        self._now = now
        if now > self._hurt_until:
            self._lapse()
        match what:
            case 0:  # _TRUE
                self._true[feed] = _mid(event)
                self._newest[feed] = now
            case 1:  # _ONSET
                self._strike(now, event)
            case 2:  # _ARRIVES
                self._listen(self._core.handle(feed, event))
            case _:
                self._listen(self._core.tick(now))
                self._sample(now)

    def over(self) -> Result:
        self._lapse()
        return self._result

    def _strike(self, now: int, span: Span) -> None:
        self._lapse()
        self._result.faults += 1
        self._hurt_until, self._onset_ns = span.end, now
        if self._active == HURT:
            self._struck = now
        elif self._changed_ns >= span.begin:
            self._result.failover_s.append(0.0)
        else:
            self._result.away += 1

    def _lapse(self) -> None:
        self._result.unnoticed += self._struck is not None
        self._struck = None

    def _listen(self, said: Iterable[Said]) -> None:
        for one in said:
            if isinstance(one, RawTick):
                self._judge(one)
            elif isinstance(one, FeedChanged) and one.active:
                self._change(one.feed)
            elif isinstance(one, FeedChanged) and one.feed == self._active:
                self._result.left[one.reason] = self._result.left.get(one.reason, 0) + 1
                self._nobody = True

    def _change(self, feed: str) -> None:
        self._result.switches += bool(self._active)
        self._active, self._nobody, self._changed_ns = feed, False, self._now
        if feed == OTHER and self._struck is not None:
            self._result.failover_s.append((self._now - self._struck) / NS_PER_SECOND)
            self._struck = None

    def _judge(self, row: RawTick) -> None:
        self._result.rows += 1
        sound = row.bid is not None and 0 < row.bid <= row.ask
        mid = (row.bid + row.ask) / 2 if row.bid is not None else row.ask
        off = min((abs(mid / true - 1.0) for true in self._true.values()), default=0.0)
        self._result.bad += not (sound and off <= self._tolerance)
        if off <= self._close:
            self._believed_ns = self._now

    def _sample(self, now: int) -> None:
        self._result.seconds = (now - self._origin) / NS_PER_SECOND
        well = not self._nobody and (self._active == OTHER or now > self._hurt_until)
        # What a feed withholds is not to be had; one that speaks is as fresh as what it says is near the truth.
        newest = self._newest[OTHER] if self._withheld else self._newest[HURT]
        believed = max(self._believed_ns, self._onset_ns)  # a quote that was the last word when the fault began, stood
        if not well and now - believed > FRESH_NS and newest > believed:
            self._result.unfresh_s += TICK_NS / NS_PER_SECOND
