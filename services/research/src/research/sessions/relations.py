"""How sessions hang together: one after the other, pair with pair, currency against currency, and around opening and close."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np

from common.model.instrument import Instrument
from common.model.time import NS_PER_MINUTE
from common.model.trading_sessions import TradingSession
from common.quant.kernel import Floats, Ints
from research.sessions.activity import Occurrences
from research.sessions.estimates import Estimate, correlation, mean, rank_correlation
from research.sessions.series import Prices

EDGE_MINUTES: Final = 60
SESSIONS: Final = tuple(map(str, TradingSession))


class Carry(NamedTuple):
    """Does a session go on in the direction of another? Rank correlation of the first one's move with that of the second, from where the
    first closed (or the second opened, if later) to the second one's close, of the same 24 hours.
    """

    instrument_id: str
    first: str
    second: str
    correlation: Estimate


class Together(NamedTuple):
    """Correlation of the moves of two instruments in the same sessions."""

    session: str
    one: str
    other: str
    correlation: Estimate


class Strength(NamedTuple):
    """Currency strength index: its mean move against all others in the session, in basis points."""

    session: str
    currency: str
    strength_bps: Estimate


class Impact(NamedTuple):
    """The first and the last hour of a session. Volatilities are mean absolute moves of a bar in basis points; `continuation` is the
    rank correlation of the first hour's move with that of the rest.
    """

    instrument_id: str
    session: str
    open_bps: Estimate
    middle_bps: Estimate
    close_bps: Estimate
    continuation: Estimate


def carries(prices: Prices, found: Occurrences) -> Iterator[Carry]:
    """For every two sessions of which the second opens after the first."""
    by_name = {name: found.where(found.name == name) for name in SESSIONS}
    for first in SESSIONS:
        for second in SESSIONS:
            if first != second and by_name[first].opens.size and by_name[second].opens.size:
                estimate = _carried(prices, by_name[first], by_name[second])
                if estimate.n:
                    yield Carry(prices.instrument.instrument_id, first, second, estimate)


def together(found: Mapping[str, Occurrences]) -> Iterator[Together]:
    """For every session and every two of the instruments."""
    for session in SESSIONS:
        moves = {name: _moves(of, session) for name, of in found.items()}
        for one, other in combinations(moves, 2):
            both = sorted(moves[one].keys() & moves[other].keys())
            x, y = (np.array([moves[name][opens] for opens in both]) for name in (one, other))
            if both:
                yield Together(session, one, other, correlation(x, y))


def strengths(instruments: Sequence[Instrument], found: Mapping[str, Occurrences]) -> Iterator[Strength]:
    """By least squares over the pairs, whose moves are the differences of two currencies; they add up to zero in every occurrence.
    Occurrences in which a pair is missing are left out, as is what no chain of pairs connects with the first pair.
    """
    pairs = _connected([one for one in instruments if one.instrument_id in found])
    currencies = sorted({currency for one in pairs for currency in (one.base, one.quote)})
    if len(currencies) < 3:
        return
    inverse = np.linalg.pinv(_design(pairs, currencies))
    for session in SESSIONS:
        moves = [_moves(found[one.instrument_id], session) for one in pairs]
        times = sorted(set.intersection(*(set(of) for of in moves)))
        if not times:
            continue
        logs = np.log1p(np.array([[of[at] for at in times] for of in moves]))
        for currency, row in zip(currencies, inverse @ logs * 1e4, strict=True):
            yield Strength(session, currency, mean(row))


def impacts(prices: Prices, found: Occurrences) -> Iterator[Impact]:
    """Of timeframes that divide an hour, the hour itself included. Occurrences without bars in the first hour, in the last or between
    are left out: when Sydney's Monday begins the market is closed in winter.
    """
    edge = EDGE_MINUTES * NS_PER_MINUTE
    before = np.concatenate([prices.open[:1], prices.close[:-1]])
    size = np.abs(prices.close / before - 1.0) * 1e4
    total = np.concatenate([[0.0], np.cumsum(size)])
    for session in SESSIONS:
        of = found.where(found.name == session)
        opened, closing = (np.searchsorted(prices.opens, at) for at in (of.opens + edge, of.closes - edge))
        whole = (of.first < opened) & (opened < closing) & (closing < of.stop)
        if not whole.any():
            continue
        of, opened, closing = of.where(whole), opened[whole], closing[whole]
        first_move = prices.close[opened - 1] / prices.open[of.first] - 1.0
        rest = prices.close[of.stop - 1] / prices.close[opened - 1] - 1.0
        yield Impact(
            prices.instrument.instrument_id,
            session,
            open_bps=_mean_between(total, of.first, opened),
            middle_bps=_mean_between(total, opened, closing),
            close_bps=_mean_between(total, closing, of.stop),
            continuation=rank_correlation(first_move, rest),
        )


def _carried(prices: Prices, first: Occurrences, second: Occurrences) -> Estimate:
    """Each occurrence of `second` with the last of `first` that opened before it, within a day."""
    place = np.searchsorted(first.opens, second.opens, side="left") - 1
    day = 24 * 60 * NS_PER_MINUTE
    paired = (place >= 0) & (second.opens - first.opens[np.maximum(place, 0)] < day)
    place, stop = place[paired], second.stop[paired]
    start = np.maximum(first.stop[place], second.first[paired])
    left = start < stop
    place, start, stop = place[left], start[left], stop[left]
    return rank_correlation(first.move[place], prices.close[stop - 1] / prices.close[start - 1] - 1.0)


def _moves(of: Occurrences, session: str) -> dict[int, float]:
    at = of.name == session
    return dict(zip(of.opens[at].tolist(), of.move[at].tolist(), strict=True))


def _mean_between(total: Floats, first: Ints, stop: Ints) -> Estimate:
    return mean((total[stop] - total[first]) / (stop - first))


def _design(pairs: Sequence[Instrument], currencies: Sequence[str]) -> Floats:
    """A row per pair: +1 for its base, -1 for its quote."""
    rows = np.zeros((len(pairs), len(currencies)))
    for row, one in zip(rows, pairs, strict=True):
        row[currencies.index(one.base)], row[currencies.index(one.quote)] = 1.0, -1.0
    return rows


def _connected(pairs: Sequence[Instrument]) -> list[Instrument]:
    """Those that share currencies with the first one, directly or through others; each pair of currencies once."""
    known: dict[tuple[str, ...], Instrument] = {}
    for one in pairs:
        known.setdefault(tuple(sorted((one.base, one.quote))), one)
    reached, chosen = set(next(iter(known), ())), dict[tuple[str, ...], Instrument]()
    while more := {key: one for key, one in known.items() if key not in chosen and reached & set(key)}:
        chosen.update(more)
        reached.update(*more)
    return list(chosen.values())
