"""Markets that never were: seeded random walks of four currency pairs with one trait each, to see what a system does in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.model.time import NS_PER_DAY, Timeframe
from market_data.feed import RawBar
from market_data.feeds.column_feed import ColumnFeed, Request, Series, assemble, choose
from market_data.feeds.files import Floats, Instants
from market_data.feeds.rows import Rows
from market_data.instruments import parse_symbol
from market_data.settings import Settings

VENUE: Final = "SIM"
START_NS: Final = 1_704_067_200_000_000_000  # Monday, 2024-01-01
BARS: Final = {Timeframe.H1: 3_000, Timeframe.M1: 10_000}
YEARLY_VOLATILITY: Final = 0.08
CORRELATION: Final = 0.4
STEPS_WITHIN: Final = 8  # prices inside a bar, of which it keeps the first, highest, lowest and last
# First price, and the sign with which the dollar's weakness moves it.
PAIRS: Final = {"AUD-USD": (0.68, 1.0), "EUR-USD": (1.10, 1.0), "GBP-USD": (1.27, 1.0), "USD-JPY": (141.0, -1.0)}


class World(msgspec.Struct):
    """What a market's trait works on. `returns` are logarithmic, of shape (bars, pairs), in units of dollar weakness;
    `there` says which bars exist.
    """

    bars_a_day: int
    common: Floats  # the shock that all pairs share, shape (bars, 1), unit variance
    own: Floats  # each pair's own shock, unit variance
    sigma: float  # of a bar
    returns: Floats
    there: NDArray[np.bool_]

    def span(self, start: float, length: float) -> slice:
        """The bars from a fraction of the whole on, for a fraction of it."""
        count = len(self.returns)
        return slice(int(start * count), int((start + length) * count))


def _calm(world: World) -> None:
    """Nothing happens."""


def _trend(world: World) -> None:
    """A drift of a tenth of a bar's deviation: the dollar weakens without end."""
    world.returns += 0.1 * world.sigma


def _crash(world: World) -> None:
    """From the middle on a twentieth of the time at three times the volatility, down by 15 % in all; shaky afterwards."""
    slide = world.span(0.5, 0.05)
    world.returns[slide] *= 3
    world.returns[slide] -= 0.15 / (slide.stop - slide.start)
    world.returns[slide.stop :] *= 1.5


def _flash_crash(world: World) -> None:
    """Down by 8 % within five bars in the middle, and nine tenths of it back within the next ten."""
    start = len(world.returns) // 2
    world.returns[start : start + 5] -= 0.08 / 5
    world.returns[start + 5 : start + 15] += 0.9 * 0.08 / 10


def _gap(world: World) -> None:
    """In the middle a quarter of a day without prices, which come back 3 % lower."""
    start = len(world.returns) // 2
    world.there[start : start + world.bars_a_day // 4] = False
    world.returns[start] -= 0.03


def _correlation_spike(world: World) -> None:
    """In the middle, for a tenth of the time, all pairs move as one (correlation 0.97) at 2.5 times the volatility."""
    spike = world.span(0.5, 0.1)
    shared = np.sqrt(0.97) * world.common[spike] + np.sqrt(0.03) * world.own[spike]
    world.returns[spike] = 2.5 * world.sigma * shared


MARKETS: Final[dict[str, Callable[[World], None]]] = {
    "calm": _calm,
    "trend": _trend,
    "crash": _crash,
    "flash_crash": _flash_crash,
    "gap": _gap,
    "correlation_spike": _correlation_spike,
}


def simulate(market: str, timeframe: str, seed: int, request: Request, settings: Settings) -> ColumnFeed:
    """The market of that name in bars of 1h or 1m, Monday to Friday; the same seed gives the same prices. Raises DataError."""
    if market not in MARKETS:
        raise DataError(f"data 'synthetic:{market}': no such market; expected one of {', '.join(MARKETS)}")
    if timeframe not in set(BARS):
        raise DataError(f"data 'synthetic:{market}:{timeframe}': expected bars of {' or '.join(BARS)}")
    length = Timeframe(timeframe)
    rng = np.random.Generator(np.random.PCG64(seed))
    world = _world(length, rng)
    MARKETS[market](world)
    path = _paths(world, rng)
    ts = _weekday_closes(length)
    chosen, notes = choose(f"synthetic:{market}", tuple(PAIRS), request.symbols)
    series = [_series(name, length, ts, path[:, :, i], world.there) for i, name in enumerate(PAIRS) if name in chosen]
    return assemble(f"synthetic:{market}", series, request, settings, notes)


def _world(timeframe: Timeframe, rng: np.random.Generator) -> World:
    bars, bars_a_day = BARS[timeframe], NS_PER_DAY // timeframe.ns
    common, own = rng.standard_normal((bars, 1)), rng.standard_normal((bars, len(PAIRS)))
    sigma = YEARLY_VOLATILITY / float(np.sqrt(260 * bars_a_day))
    returns = sigma * (np.sqrt(CORRELATION) * common + np.sqrt(1 - CORRELATION) * own)
    return World(bars_a_day, common, own, sigma, returns, np.ones(bars, dtype=np.bool_))


def _paths(world: World, rng: np.random.Generator) -> Floats:
    """Log prices of dollar weakness inside every bar, shape (bars, STEPS_WITHIN + 1, pairs): bridges between the closes."""
    bars, pairs = world.returns.shape
    steps = rng.standard_normal((bars, STEPS_WITHIN, pairs)) * world.sigma / np.sqrt(STEPS_WITHIN)
    steps += (world.returns - steps.sum(axis=1))[:, None, :] / STEPS_WITHIN
    inside = np.concatenate([np.zeros((bars, 1, pairs)), np.cumsum(steps, axis=1)], axis=1)
    opens = np.cumsum(world.returns, axis=0) - world.returns
    return np.asarray(inside + opens[:, None, :])


def _weekday_closes(timeframe: Timeframe) -> Instants:
    bar = np.arange(BARS[timeframe], dtype=np.int64)
    day, within = np.divmod(bar, NS_PER_DAY // timeframe.ns)
    return np.asarray(START_NS + (day + day // 5 * 2) * NS_PER_DAY + (within + 1) * timeframe.ns)


def _series(name: str, timeframe: Timeframe, ts: Instants, path: Floats, there: NDArray[np.bool_]) -> Series:
    first, sign = PAIRS[name]
    prices = np.round(first * np.exp(sign * path[there]), 3 if name.endswith("JPY") else 5)
    values = {"open": prices[:, 0], "high": prices.max(axis=1), "low": prices.min(axis=1), "close": prices[:, -1]}
    symbol = parse_symbol(name)
    assert symbol is not None
    return Series(symbol, VENUE, timeframe, Rows(RawBar, ts[there], ts[there], values))
