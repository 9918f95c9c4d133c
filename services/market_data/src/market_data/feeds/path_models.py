"""How prices could go on: what is drawn for the bars of a market whose past is known. Nothing here has a drift but the
crash and what the bootstrap repeats.

Returns are logarithmic, from close to close, of shape (bars, instruments), and zero where an instrument has no bar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.quant.bootstrap import block_length, resample
from market_data.feeds import garch
from market_data.feeds.files import Floats, Instants

JUMPS_A_YEAR: Final = 6.0
JUMP_DAYS: Final = 4.0  # deviation of a jump, in daily deviations of the instrument
CRASH_DAYS: Final = 5.0
CRASH_SLIDE: Final = 15.0  # what is lost in it, in daily deviations of the instrument: 7 % at 0.5 % a day, 45 % at 4 %
CRASH_VOLATILITY: Final = 4.0  # times the usual one, from which it calms down by the days of a crash
CRASH_CORRELATION: Final = 0.95
_TRADING_DAYS: Final = 252.0


class Past(msgspec.Struct, frozen=True):
    """What really happened. `gap` is the part of a return that is there at the open; `scale` the usual deviation of a bar at
    its hour; `listed` are the first row of each instrument and the one after its last.
    """

    ts: Instants
    there: NDArray[np.bool_]
    returns: Floats
    gap: Floats
    scale: Floats
    listed: NDArray[np.int64]
    rows_a_day: int

    @property
    def daily(self) -> Floats:
        """Deviation of a day of each instrument."""
        days = self.there.sum(axis=0) / max(1.0, len(self.ts) / self.rows_a_day)
        return np.asarray(np.sqrt(np.sum(self.returns**2, axis=0) / self.there.sum(axis=0) * days))

    @property
    def correlation(self) -> Floats:
        """Of returns in units of their scale. Absent bars count as zero, so that it is always a correlation matrix."""
        unit = self.returns / self.scale
        length = np.sqrt(np.sum(unit**2, axis=0))
        return np.asarray((unit.T @ unit) / np.outer(length, length))


class Draw(msgspec.Struct, frozen=True):
    """What a path does instead. Wicks, volume and spread of a bar are those of the real bar in row `donor`, the wicks to
    the power of `stretch`; the open is `gap` from the last close, by default in the proportion of the donor's.
    """

    returns: Floats
    donor: NDArray[np.int64]
    stretch: Floats
    gap: Floats | None = None
    notes: tuple[str, ...] = ()


def _garch(past: Past, rng: np.random.Generator) -> Draw:
    """GARCH(1,1) of each instrument with joint Student t innovations, correlated as those of the past were."""
    unit = past.returns / past.scale
    models = [garch.fit(unit[there, i]) for i, there in enumerate(past.there.T)]
    freedom = float(np.median([model.freedom for model in models]))
    innovations = rng.standard_normal(unit.shape) @ _root(past.correlation)
    innovations *= np.sqrt((freedom - 2) / rng.chisquare(freedom, (len(unit), 1)))
    simulated = garch.simulate(models, innovations, past.there)
    with np.errstate(divide="ignore", invalid="ignore"):
        stretch = np.where(past.there & (innovations != 0), np.abs(simulated / innovations), 1.0)
    return Draw(simulated * past.scale, _itself(past), stretch, notes=tuple(map(str, models)))


def _jumps(past: Past, rng: np.random.Generator) -> Draw:
    """A diffusion with the scale and correlations of the past, and jumps of all instruments at once, correlated alike."""
    moves = _diffusion(past, rng)
    root = _root(past.correlation)
    often = JUMPS_A_YEAR / _TRADING_DAYS / past.rows_a_day
    jumps = (rng.random((len(moves), 1)) < often) * (rng.standard_normal(moves.shape) @ root)
    moves += jumps * JUMP_DAYS * past.daily
    return Draw(np.where(past.there, moves, 0.0), _itself(past), np.ones_like(moves))


def _crash(past: Past, rng: np.random.Generator) -> Draw:
    """The diffusion, and somewhere in its middle a crash in which nothing diversifies: everything goes the way in which the
    instruments have moved together (their first principal component), most of them down.
    """
    moves, shape = _diffusion(past, rng), past.returns.shape
    length = max(2, round(CRASH_DAYS * past.rows_a_day))
    start = int(rng.uniform(0.3, 0.7) * shape[0])
    within = slice(start, min(shape[0], start + length))
    rows = within.stop - within.start
    direction = _together(past.correlation)
    shared, own = rng.standard_normal((rows, 1)), rng.standard_normal((rows, shape[1]))
    shock = np.sqrt(CRASH_CORRELATION) * shared * direction + np.sqrt(1 - CRASH_CORRELATION) * own
    stretch = np.ones(shape)
    stretch[within] = CRASH_VOLATILITY
    after = np.arange(shape[0] - within.stop)[:, None]
    stretch[within.stop :] = 1.0 + (CRASH_VOLATILITY - 1.0) * np.exp(-after / length)
    moves[within] = shock * past.scale[within]
    moves *= stretch
    there = past.there[within]
    moves[within] += direction * CRASH_SLIDE * past.daily / np.maximum(1, there.sum(axis=0))
    return Draw(np.where(past.there, moves, 0.0), _itself(past), stretch)


def _bootstrap(past: Past, rng: np.random.Generator) -> Draw:
    """Days of all instruments as they were, in another order: blocks of random length, as long on average as the volatility
    of the whole market asks for (Politis & White on its absolute returns). Bars keep their place in the day; where an
    instrument was not listed, its own days are counted round again.
    """
    length, rows = past.rows_a_day, len(past.ts)
    days = rows // length
    market = np.abs(past.returns / past.scale).mean(axis=1)[: days * length].reshape(days, length).mean(axis=1)
    needed = -(-rows // days // length)
    drawn = resample(days, block_length(market), needed, rng).ravel()
    row = (drawn[:, None] * length + np.arange(length)).ravel()[:rows, None]
    first, span = past.listed[0], past.listed[1] - past.listed[0]
    donor = first + (row - first) % np.where(span >= length, span // length * length, span)
    returns = np.take_along_axis(past.returns, donor, axis=0)
    return Draw(returns, donor, np.ones_like(returns), gap=np.take_along_axis(past.gap, donor, axis=0))


KINDS: Final[dict[str, Callable[[Past, np.random.Generator], Draw]]] = {
    "garch": _garch,
    "jumps": _jumps,
    "crash": _crash,
    "bootstrap": _bootstrap,
}


def _diffusion(past: Past, rng: np.random.Generator) -> Floats:
    return np.asarray((rng.standard_normal(past.returns.shape) @ _root(past.correlation)) * past.scale)


def _itself(past: Past) -> NDArray[np.int64]:
    return np.broadcast_to(np.arange(len(past.ts))[:, None], past.returns.shape)


def _root(correlation: Floats) -> Floats:
    """The symmetric root: unlike Cholesky's it exists where one instrument is a mix of others (EUR-GBP)."""
    values, vectors = np.linalg.eigh(correlation)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def _together(correlation: Floats) -> Floats:
    """For each instrument 1 up or -1 down: its side in the first principal component, turned so that most go down."""
    side = np.where(np.linalg.eigh(correlation)[1][:, -1] < 0, -1.0, 1.0)
    return np.asarray(-side if side.sum() > 0 or (side.sum() == 0 and side[0] > 0) else side)
