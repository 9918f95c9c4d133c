"""Markets that could have been: synthetic paths after real prices, as data for any run (RES-08).

`paths:KIND:SEED:DATA` has the instruments, times, first prices, spreads and volumes of DATA and prices of the KIND (`garch`,
`jumps`, `crash` or `bootstrap`; see path_models). The same words give the same prices.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.model.instrument import Instrument
from common.model.time import NS_PER_DAY, NS_PER_HOUR
from market_data.feed import RawBar
from market_data.feeds.column_feed import ColumnFeed
from market_data.feeds.files import Floats, Instants
from market_data.feeds.kinds import OHLC
from market_data.feeds.path_models import KINDS, Draw, Past
from market_data.feeds.rows import Rows, merge, take
from market_data.settings import Settings
from market_data.state import Seen
from market_data.validation import Rules, refuse

FEWEST: Final = 100  # believed bars of an instrument that a path can be made after
_HOURS: Final = 24
_OF_AN_HOUR: Final = 20  # returns at one hour of the day from which that hour has a scale of its own


def imagine(spec: str, kind: str, seed: int, feed: ColumnFeed, settings: Settings) -> ColumnFeed:
    """The feed, with other prices. Raises DataError for an unknown kind, for ticks and for too little to go by."""
    if kind not in KINDS:
        raise DataError(f"data {spec!r}: no such kind of path; expected one of {', '.join(KINDS)}")
    pairs = zip(feed.instruments, feed.rows, strict=True)
    series = [_believed(spec, instrument.instrument_id, rows, settings) for instrument, rows in pairs]
    past, places = _past(series)
    draw = KINDS[kind](past, np.random.Generator(np.random.PCG64(seed)))
    rows = tuple(
        _rows(instrument, original, past, places[:, i], i, draw)
        for i, (instrument, original) in enumerate(zip(feed.instruments, series, strict=True))
    )
    said = (f"{spec}: the prices are drawn, none of them was seen in a market",)
    fitted = (
        f"{instrument.instrument_id}: {note}" for instrument, note in zip(feed.instruments, draw.notes, strict=False)
    )
    return ColumnFeed(feed.instruments, feed.base_timeframes, (*feed.notes, *said, *fitted), rows)


def _believed(spec: str, name: str, rows: Rows, settings: Settings) -> Rows:
    """What validation lets pass: a spike that no run would see must not come back in a path."""
    if rows.kind is not RawBar:
        raise DataError(f"data {spec!r}: {name} has ticks, expected bars")
    rules, seen = Rules(settings.max_jump, settings.jump_moves), Seen()
    passed = [refuse(row, seen, step.ts_event, rules) is None for step in merge([(name, rows)]) for row in step.rows]  # type: ignore[arg-type]
    believed = rows if all(passed) else take(rows, np.flatnonzero(passed))
    if believed.ts.size < FEWEST:
        raise DataError(f"data {spec!r}: {name} has {believed.ts.size} usable bars, expected at least {FEWEST}")
    if float(np.ptp(believed.values["close"])) == 0.0:
        raise DataError(f"data {spec!r}: the price of {name} never moves")
    return believed


def _past(series: Sequence[Rows]) -> tuple[Past, NDArray[np.int64]]:
    """The past on the times of all instruments, and for each time and instrument the number of its last row up to then."""
    ts: Instants = np.unique(np.concatenate([rows.ts for rows in series]))
    shape = (ts.size, len(series))
    there, places = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.int64)
    returns, gap, scale = np.zeros(shape), np.zeros(shape), np.ones(shape)
    for i, rows in enumerate(series):
        at = np.searchsorted(ts, rows.ts)
        there[at, i] = True
        places[at, i] = np.arange(at.size)
        opened, closed = np.log(rows.values["open"]), np.log(rows.values["close"])
        returns[at[1:], i], gap[at[1:], i] = np.diff(closed), opened[1:] - closed[:-1]
        scale[:, i] = _scale(ts, at, returns[:, i])
    days = (ts - 1) // NS_PER_DAY
    rows_a_day = int(np.median(np.unique(days, return_counts=True)[1]))
    listed = np.array([np.searchsorted(ts, [rows.ts[0], rows.ts[-1] + 1]) for rows in series]).T
    return Past(ts, there, returns, gap, scale, listed, rows_a_day), np.maximum.accumulate(places, axis=0)


def _scale(ts: Instants, at: NDArray[np.intp], returns: Floats) -> Floats:
    """Root mean square return, of each hour of the day (UTC) in which there are enough."""
    hour = (ts - 1) // NS_PER_HOUR % _HOURS
    squares = returns[at] ** 2
    count, total = (np.bincount(hour[at], weights, _HOURS) for weights in (None, squares))
    usual = squares.mean()
    own = np.divide(total, count, out=np.full(_HOURS, usual), where=count >= _OF_AN_HOUR)
    return np.asarray(np.sqrt(np.where(own > 0, own, usual))[hour])


def _rows(instrument: Instrument, real: Rows, past: Past, places: NDArray[np.int64], i: int, draw: Draw) -> Rows:
    at = np.flatnonzero(past.there[:, i])
    donor = draw.donor[at, i]
    source = places[donor]
    found = {name: real.values[name][source] for name in real.values}
    opened, high, low, closed = (found[name] for name in OHLC)
    returns, gap = draw.returns[at, i], past.gap[donor, i]
    path = np.cumsum(draw.returns[:, i])[at]
    close = real.values["close"][0] * np.exp(path - path[0])
    if draw.gap is None:
        body = past.returns[donor, i] - gap
        size = np.abs(gap) + np.abs(body)
        share = np.divide(np.abs(gap), size, out=np.ones_like(size), where=size > 0)
        body = returns * (1.0 - share)
    else:
        body = returns - draw.gap[at, i]
    # The first bar is where it starts from: it closes at the real first close.
    open_ = close * np.exp(-body)
    stretch = draw.stretch[at, i]
    top, bottom = np.maximum(open_, close), np.minimum(open_, close)
    prices = {
        "open": open_,
        "high": top * (high / np.maximum(opened, closed)) ** stretch,
        "low": bottom * (low / np.minimum(opened, closed)) ** stretch,
        "close": close,
    }
    spreads = {name: found[name] * close / closed for name in found if name.startswith("spread_")}
    volume = {name: found[name] for name in found if name == "volume"}
    values = {name: _on_increments(column, instrument) for name, column in prices.items()} | spreads | volume
    return Rows(RawBar, past.ts[at], past.ts[at], values)


def _on_increments(prices: Floats, instrument: Instrument) -> Floats:
    increment = float(instrument.price_increment)
    digits = max(0, round(-log10(increment)))
    return np.asarray(np.round(np.maximum(prices, increment), digits))
