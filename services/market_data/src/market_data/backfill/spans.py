"""Spans of time, half open: [start, end). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from common.model.time import Timeframe, period_close


class Span(NamedTuple):
    start: int
    end: int


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same instants in as few spans as possible, in order; empty ones are gone."""
    found: list[Span] = []
    for span in sorted(span for span in spans if span.start < span.end):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return tuple(found)


def missing(wanted: Span, covered: Iterable[Span]) -> tuple[Span, ...]:
    """What of `wanted` no span of `covered` holds, in order."""
    found, at = [], wanted.start
    for span in merged(covered):
        if span.start >= wanted.end:
            break
        if span.start > at:
            found.append(Span(at, span.start))
        at = max(at, span.end)
    return (*found, Span(at, wanted.end)) if at < wanted.end else tuple(found)


def pages(span: Span, timeframe: Timeframe, bars: int) -> Iterator[Span]:
    """`span` in pieces of at most `bars` bars."""
    for start in range(span.start, span.end, bars * timeframe.ns):
        yield Span(start, min(start + bars * timeframe.ns, span.end))


def ceiling(ts: int, timeframe: Timeframe) -> int:
    """The first instant from `ts` on at which a bar opens."""
    return period_close(ts, timeframe)


def floor(ts: int, timeframe: Timeframe) -> int:
    """The last instant up to `ts` at which a bar opens."""
    close = period_close(ts, timeframe)
    return close if close == ts else close - timeframe.ns
