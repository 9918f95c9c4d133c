"""Which hours, or sessions, to trade: learned from outcomes, and kept only where that has paid on outcomes not yet seen (REG-12).

An hour's mean is drawn toward the instrument's by empirical Bayes; a window is the hours whose drawn mean is above zero, with those
that the user always wants and without those that he never does. Walk-forward, what a window has left out is what it is worth: the sum
of what the outcomes outside would have earned, with its sign turned. A window has earned its place where that is above zero by a
one-sided block bootstrap over days, at 5 % over all instruments together (Holm 1979), and where the window itself has earned something.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from math import sqrt
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from common.model.time import NS_PER_DAY, NS_PER_MINUTE, to_datetime
from common.model.trading_sessions import CLOSED, TradingSession, session
from common.quant.bootstrap import bootstrap_interval, means
from common.quant.kernel import Floats, Ints
from research.sessions.activity import HOURS
from research.sessions.estimates import Shrunk, shrink
from research.sessions.outcomes import Table

ALPHA: Final = 0.05
FOLDS: Final = 6
LEAST: Final = 30  # outcomes that a window must have left out, unseen, before it is judged
SEED: Final = 20_261_121
_QUARTER_NS: Final = 15 * NS_PER_MINUTE  # India's hours begin at half past in UTC, Nepal's at a quarter past
Bools = NDArray[np.bool_]


class By(StrEnum):
    HOUR = "hour"
    SESSION = "session"


class Preferences(NamedTuple):
    """Names of hours (`07`) or sessions that are never left out, and such as are always."""

    always: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


NO_WISHES: Final = Preferences()


class Part(NamedTuple):
    """An hour or a session of one instrument; `regime` empty: of all. Means in basis points per outcome; None without any."""

    instrument_id: str
    part: str
    regime: str
    n: int
    mean_bps: float | None
    shrunk_bps: float | None
    weight: float | None  # 1: its own mean, 0: that of the instrument


class Window(NamedTuple):
    """What was learned for one instrument, and what learning the same way has been worth on outcomes that came later.

    `parts` are those of the last window, from all outcomes. Figures are of the folds out of sample: how many outcomes there were
    and how many were left out, what all and what the window earned in basis points, the Sharpe ratios of their days (annual, None
    where undefined), the mean gain a day with its interval and one-sided p-value. `reason` says why a window has not earned its place.
    """

    instrument_id: str
    parts: tuple[str, ...]
    outcomes: int
    seen_later: int
    left_out: int
    always_bps: float
    window_bps: float
    always_sharpe: float | None
    window_sharpe: float | None
    gain_bps_a_day: float | None
    low: float | None
    high: float | None
    p_value: float | None
    earned: bool
    reason: str


def names(by: By) -> tuple[str, ...]:
    return HOURS if by is By.HOUR else (*map(str, TradingSession), CLOSED)


def learn(tables: Sequence[Table], by: By, *, zone: str = "UTC", wishes: Preferences = NO_WISHES) -> list[Window]:
    """One for each table. The same outcomes give the same windows."""
    judged = [_judged(table, by, zone, wishes) for table in tables]
    return list(_holm(judged))


def parts_of(table: Table, by: By, *, zone: str = "UTC") -> Iterator[Part]:
    """Means of every part of all regimes together, and of every part in each regime, drawn to the instrument's mean."""
    labels = places(table.ts, by, zone)
    for regime in ("", *np.unique(table.regime).tolist()):
        chosen = np.ones(labels.size, bool) if not regime else table.regime == regime
        drawn, counts, raw = _shrunk(table.bps[chosen], labels[chosen], len(names(by)), float(table.bps.mean()))
        for i, name in enumerate(names(by)):
            n = int(counts[i])
            figures = (float(raw[i]), float(drawn.means[i]), float(drawn.weights[i])) if n else (None, None, None)
            yield Part(table.instrument_id, name, regime, n, *figures)


def window(bps: Floats, labels: Ints, by: By, wishes: Preferences) -> Bools:
    """Which parts to trade after these outcomes: bool[parts]. A part without outcomes has the mean of all."""
    every, center = names(by), float(bps.mean()) if bps.size else 0.0
    drawn, counts, _ = _shrunk(bps, labels, len(every), center)
    inside = np.where(counts > 0, drawn.means, center) > 0.0
    inside |= np.isin(every, wishes.always)
    return np.asarray(inside & ~np.isin(every, wishes.never))


def walk_forward(table: Table, labels: Ints, by: By, wishes: Preferences) -> tuple[int, Bools]:
    """The first outcome that is judged, and whether the window of its time admits it and each that follows. `FOLDS` equal folds; the
    window of each but the first is learned from what was over before its first entry.
    """
    n = table.ts.size
    edges = [n * fold // FOLDS for fold in range(1, FOLDS + 1)]
    inside = np.ones(n, bool)
    for start, end in pairwise(edges):
        if start < end:
            seen = table.known < table.ts[start]
            inside[start:end] = window(table.bps[seen], labels[seen], by, wishes)[labels[start:end]]
    return edges[0], inside[edges[0] :]


def _judged(table: Table, by: By, zone: str, wishes: Preferences) -> Window:
    labels = places(table.ts, by, zone)
    first, kept = walk_forward(table, labels, by, wishes)
    ts, bps, last = table.ts[first:], table.bps[first:], window(table.bps, labels, by, wishes)
    every, held = _by_day(ts, bps), _by_day(ts, np.where(kept, bps, 0.0))
    gain = bootstrap_interval(held - every, means, np.random.default_rng(SEED), level=1 - 2 * ALPHA)
    p_value = None if gain is None else gain.p_value / 2 if gain.estimate > 0 else 1.0 - gain.p_value / 2
    left_out = int(np.count_nonzero(~kept))
    return Window(
        instrument_id=table.instrument_id,
        parts=tuple(name for name, chosen in zip(names(by), last.tolist(), strict=True) if chosen),
        outcomes=table.ts.size,
        seen_later=ts.size,
        left_out=left_out,
        always_bps=float(bps.sum()),
        window_bps=float(bps[kept].sum()),
        always_sharpe=_sharpe(every),
        window_sharpe=_sharpe(held),
        gain_bps_a_day=None if gain is None else gain.estimate,
        low=None if gain is None else gain.low,
        high=None if gain is None else gain.high,
        p_value=p_value,
        earned=False,
        reason=_shortcoming(left_out, last, float(bps[kept].sum())),
    )


def _shortcoming(left_out: int, last: Bools, window_bps: float) -> str:
    if last.all():
        return "no part of the day is worth leaving out"
    if not last.any():
        return "no part of the day has earned anything: not a matter of hours"
    if left_out < LEAST:
        return f"{left_out} outcomes left out later on: fewer than {LEAST} say nothing"
    if window_bps <= 0.0:
        return "what was learned has lost later on: to leave out still more would do as well"
    return ""


def _holm(judged: Sequence[Window]) -> Iterator[Window]:
    """In the order of the instruments."""
    eligible = sorted((one.p_value, i) for i, one in enumerate(judged) if not one.reason and one.p_value is not None)
    passed, tests = set[int](), len(judged)
    for rank, (p_value, i) in enumerate(eligible):
        if p_value > ALPHA / (tests - rank):
            break
        passed.add(i)
    for i, one in enumerate(judged):
        chance = "unknown" if one.p_value is None else f"p = {one.p_value:.3f}"
        reason = one.reason or ("" if i in passed else f"no better than always, as far as the days show ({chance})")
        yield one._replace(earned=i in passed, reason=reason)


def places(ts: Ints, by: By, zone: str = "UTC") -> Ints:
    """Place in `names(by)` of each instant."""
    if by is By.HOUR:
        return np.array([_local_hour(zone, at // _QUARTER_NS) for at in ts.tolist()], dtype=np.int64)
    every = names(by)
    return np.array([every.index(session(at)) for at in ts.tolist()], dtype=np.int64)


@lru_cache(maxsize=1 << 18)
def _local_hour(zone: str, quarter: int) -> int:
    return to_datetime(quarter * _QUARTER_NS).astimezone(ZoneInfo(zone)).hour


def _shrunk(bps: Floats, labels: Ints, parts: int, center: float) -> tuple[Shrunk, Ints, Floats]:
    """What `shrink` makes of the parts; how many outcomes each has, and their plain means."""
    counts = np.bincount(labels, minlength=parts)
    sums, squares = (np.bincount(labels, weights=of, minlength=parts) for of in (bps, bps**2))
    raw = np.divide(sums, counts, out=np.full(parts, np.nan), where=counts > 0)
    freedom = max(int(counts.sum()) - int(np.count_nonzero(counts)), 1)
    within = max(float(squares.sum() - np.nansum(raw * sums)) / freedom, 0.0)
    return shrink(raw, counts, within, center), counts, raw


def _by_day(ts: Ints, bps: Floats) -> Floats:
    """Sums by day of UTC, days without an outcome left out."""
    if not ts.size:
        return np.empty(0)
    _, place = np.unique(ts // NS_PER_DAY, return_inverse=True)
    return np.asarray(np.bincount(place, weights=bps), dtype=np.float64)


def _sharpe(days: Floats) -> float | None:
    """Annual, by 252 days."""
    if days.size < 2 or not np.ptp(days):
        return None
    return float(days.mean() / days.std(ddof=1) * sqrt(252))
