"""What a market does in each session, overlap and hour, from its bars alone.

An occurrence is one session on one day: its bars are those that open in it. Days with fewer than half of them are left out.

- `move`: last close over first open less one, a fraction.
- `strength`: its absolute size in units of the ATR before the session, the ATR being of the same timeframe.
- `efficiency`: absolute net move over the path from close to close (Kaufman 1995), in [0, 1]; NaN for fewer than two bars.
- `score`: efficiency times the volatility of the occurrence (root of squared log returns per hour) over that of the market at all hours:
  how much it moves, weighted by how far that leads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.model.time import NS_PER_DAY, NS_PER_HOUR
from common.model.trading_sessions import SessionHours, TradingSession, session_hours
from common.quant.kernel import Floats, Ints
from research.sessions.estimates import Estimate, mean, share
from research.sessions.series import Prices, regime_name

ALL: Final = "all"  # of the regimes
OVERLAPS: Final = ("London+New York", "Tokyo+London", "Sydney+Tokyo", "New York+Sydney")
PARTS: Final = (*map(str, TradingSession), *OVERLAPS)
HOURS: Final = tuple(f"{hour:02d}" for hour in range(24))


class Span(NamedTuple):
    opens: int
    closes: int
    name: str


class Occurrences(NamedTuple):
    """A row per occurrence in order of time; prices and figures float64, NaN where undefined."""

    name: NDArray[np.str_]
    opens: Ints
    closes: Ints
    first: Ints  # bars from here
    stop: Ints  # to before this one
    move: Floats
    pips: Floats
    strength: Floats
    efficiency: Floats
    score: Floats
    regime: Ints

    def where(self, mask: NDArray[np.bool_]) -> Occurrences:
        return Occurrences(*(column[mask] for column in self))  # type: ignore[arg-type]  # each keeps its own type


class Cell(NamedTuple):
    """One group of occurrences. Moves are absolute but for `drift_bps`."""

    part: str
    instrument_id: str
    timeframe: str
    regime: str
    n: int
    move_bps: Estimate
    pips: Estimate
    drift_bps: Estimate
    up: Estimate
    strength: Estimate
    efficiency: Estimate
    score: Estimate


def sessions_and_overlaps(start: int, end: int) -> list[Span]:
    """Of the span, in order of their openings."""
    held = list(session_hours(start, end))
    spans = [Span(one.opens, one.closes, str(one.session)) for one in held]
    return sorted([*spans, *_overlaps(held)])


def hours(start: int, end: int) -> list[Span]:
    """Every hour of UTC."""
    first = -(-start // NS_PER_HOUR) * NS_PER_HOUR
    return [
        Span(at, at + NS_PER_HOUR, HOURS[at % NS_PER_DAY // NS_PER_HOUR])
        for at in range(first, end - NS_PER_HOUR + 1, NS_PER_HOUR)
    ]


def occurrences(prices: Prices, spans: Sequence[Span]) -> Occurrences:
    """Those of `spans` that the bars cover by half or more."""
    opens, closes = (np.array([one[place] for one in spans], dtype=np.int64) for place in (0, 1))
    names = np.array([one.name for one in spans], dtype=np.str_)
    first, stop = (np.searchsorted(prices.opens, at) for at in (opens, closes))
    covered = (stop - first) * prices.timeframe.ns * 2 >= np.maximum(closes - opens, prices.timeframe.ns * 2)
    names, opens, closes, first, stop = (column[covered] for column in (names, opens, closes, first, stop))
    start, end = prices.open[first], prices.close[stop - 1]
    steps = np.abs(np.diff(prices.close, prepend=prices.open[:1]))
    path = _sums(steps, first + 1, stop) + np.abs(prices.close[first] - start)
    squares = np.diff(np.log(prices.close), prepend=np.log(prices.open[:1])) ** 2
    inside = _sums(squares, first + 1, stop) + np.log(prices.close[first] / start) ** 2
    size, bars = np.abs(end - start), stop - first
    efficiency = np.divide(size, path, out=np.full(size.size, np.nan), where=(path > 0.0) & (bars > 1))
    volatility = np.sqrt(inside / (bars * prices.timeframe.ns / NS_PER_HOUR))
    usual = _usual_volatility(prices)
    return Occurrences(
        name=names,
        opens=opens,
        closes=closes,
        first=first,
        stop=stop,
        move=end / start - 1.0,
        pips=np.full(size.size, np.nan) if prices.pip is None else (end - start) / prices.pip,
        strength=size / np.where(prices.atr[first] > 0.0, prices.atr[first], np.nan),
        efficiency=efficiency,
        score=efficiency * volatility / usual if usual > 0.0 else np.full(size.size, np.nan),
        regime=prices.regime[first],
    )


def cells(prices: Prices, found: Occurrences, parts: Iterable[str], *, by_regime: bool = True) -> Iterator[Cell]:
    """A cell for each part, of all regimes together and then of each that occurred. A part without occurrences has none."""
    for part in parts:
        of_part = found.where(found.name == part)
        if not of_part.opens.size:
            continue
        yield _cell(prices, part, ALL, of_part)
        for code in np.unique(of_part.regime).tolist() if by_regime else ():
            yield _cell(prices, part, regime_name(code), of_part.where(of_part.regime == code))


def _cell(prices: Prices, part: str, regime: str, of: Occurrences) -> Cell:
    return Cell(
        part=part,
        instrument_id=prices.instrument.instrument_id,
        timeframe=str(prices.timeframe),
        regime=regime,
        n=of.opens.size,
        move_bps=mean(np.abs(of.move) * 1e4),
        pips=mean(np.abs(of.pips)),
        drift_bps=mean(of.move * 1e4),
        up=share(int(np.count_nonzero(of.move > 0.0)), int(np.count_nonzero(of.move))),
        strength=mean(of.strength),
        efficiency=mean(of.efficiency),
        score=mean(of.score),
    )


def _overlaps(held: Sequence[SessionHours]) -> Iterator[Span]:
    """Sessions overlap only with the one or two that opened just before."""
    for i, one in enumerate(held):
        for other in held[i + 1 : i + 4]:
            opens, closes = max(one.opens, other.opens), min(one.closes, other.closes)
            if opens < closes:
                yield Span(opens, closes, f"{one.session}+{other.session}")


def _sums(values: Floats, first: Ints, stop: Ints) -> Floats:
    """Of `values` from `first` to before `stop`, for each pair; 0 where it is empty."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(np.maximum(total[np.maximum(stop, first)] - total[first], 0.0))


def _usual_volatility(prices: Prices) -> float:
    """Per root hour, over all bars that follow another without a hole."""
    follows = np.diff(prices.opens) == prices.timeframe.ns
    squares = np.diff(np.log(prices.close))[follows] ** 2
    if not squares.size:
        return float("nan")
    return float(np.sqrt(squares.mean() * NS_PER_HOUR / prices.timeframe.ns))
