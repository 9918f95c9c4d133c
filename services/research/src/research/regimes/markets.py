"""Markets whose regime is known at every bar, to judge those who say it (REG-09).

Nine hidden states: trend (bull, bear, sideways) times phase (calm, build-up, stressed). Returns follow the Markov-switching
GARCH(1,1) of Haas, Mittnik and Paolella (2004, Journal of Financial Econometrics 2) with Student-t innovations: each state has
drift and variance of its own, and every state's variance is driven by the returns seen. So the probabilities that the true
parameters allow have a closed form, the exact Bayes filter of `ceiling`: nobody can do better for long.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from common.model.time import NS_PER_DAY, Timeframe
from common.quant.kernel import Floats, Ints, kernel
from research.regimes.worlds import BULL, TRENDS, World

Codes: TypeAlias = NDArray[np.int8]

PHASES: Final = 3  # calm, build-up, stressed
STATES: Final = len(TRENDS) * PHASES
CALM, BUILD_UP, STRESSED = range(PHASES)
FIRST_CLOSE_NS: Final = 1_704_067_200_000_000_000  # the first bar opens on Monday, 2024-01-01
START_PX: Final = 100.0
USUAL_VOLUME: Final = 1_000.0
_SMALL: Final = 24  # halvings of a bar in which two changes of state do not meet


class Market(NamedTuple):
    """One simulated series. `prices` is float64[bars, 4]: open, high, low, close; `ts` are closes in ns; `trend` the place in
    `TRENDS` of the true state, `stressed` whether its phase is that (a build-up is not), `states` trend * 3 + phase.
    """

    world: World
    seed: int
    ts: Ints
    prices: Floats
    volume: Floats
    trend: Codes
    stressed: Codes
    states: Ints

    @property
    def high_low_close(self) -> Floats:
        return np.ascontiguousarray(self.prices[:, 1:])


class Ceiling(NamedTuple):
    """What the exact filter knows after each bar: probabilities of the trends, float64[bars, 3], of stress, and that trend or
    stress is another one at some bar of the next 24 and 48 hours (a day and two where the bars are days).
    """

    trend: Floats
    stressed: Floats
    change_24h: Floats
    change_48h: Floats


def generator(world: World) -> Floats:
    """Rates a day between the nine states, rows add to 0."""
    rates = np.zeros((STATES, STATES))
    for trend in range(len(TRENDS)):
        calm, stressed = world.cells[trend]
        for other in range(len(TRENDS)):
            for phase in range(PHASES):
                cell = stressed if phase == STRESSED else calm
                rates[trend * PHASES + phase, other * PHASES + phase] = cell.to_trend[other]
        at = trend * PHASES
        rates[at + CALM, at + BUILD_UP] = calm.flip * world.build_up_share
        rates[at + CALM, at + STRESSED] = calm.flip * (1.0 - world.build_up_share)
        rates[at + BUILD_UP, at + STRESSED] = 1.0 / world.build_up_days
        rates[at + STRESSED, at + CALM] = stressed.flip
    np.fill_diagonal(rates, 0.0)
    np.fill_diagonal(rates, -rates.sum(axis=1))
    return rates


def transition(world: World) -> Floats:
    """Probabilities from bar to bar, float64[9, 9]; rows add to 1. The exponential of the rates, by squaring."""
    one = np.eye(STATES) + generator(world) / (world.bars_a_day * 2**_SMALL)
    return np.asarray(np.linalg.matrix_power(one, 2**_SMALL))


def moments(world: World) -> tuple[Floats, Floats]:
    """Drift and standard deviation of a bar in each state, in standard deviations of the mean bar. A build-up drifts as calm
    does; its volatility is the geometric mean of calm and stressed.
    """
    drift, sigma = np.empty(STATES), np.empty(STATES)
    for trend, (calm, stressed) in enumerate(world.cells):
        at = trend * PHASES
        drift[at : at + PHASES] = calm.drift, calm.drift, stressed.drift
        sigma[at : at + PHASES] = calm.sigma, np.sqrt(calm.sigma * stressed.sigma), stressed.sigma
    return drift / np.sqrt(world.bars_a_day), sigma


def simulate(world: World, seed: int, bars: int | None = None) -> Market:
    """A market of `world.bars` bars; the same seed gives the same one."""
    count = world.bars if bars is None else bars
    rng = np.random.Generator(np.random.PCG64(seed))
    chain = transition(world)
    drift, sigma = moments(world)
    states = _chain(np.cumsum(chain, axis=1), rng.random(count), BULL * PHASES + CALM)
    shocks, mixing = student(rng, world.dof, count)
    ts = closes(world, count)
    scale = world.daily_sigma / np.sqrt(world.bars_a_day) * _profile(world.profile, ts)
    moves, spread = _returns(states, shocks, drift, sigma, world.alpha, world.beta)
    prices = with_range(moves * scale, (spread * scale) ** 2 * mixing, rng)
    louder = world.volume_elasticity * np.log(spread) + world.volume_noise * rng.standard_normal(count)
    volume = USUAL_VOLUME * np.exp(louder) * _profile(world.volume_profile, ts)
    trend, phase = np.divmod(states, PHASES)
    return Market(world, seed, ts, prices, volume, trend.astype(np.int8), (phase == STRESSED).astype(np.int8), states)


def closes(world: World, count: int) -> Ints:
    """Closes of the bars in ns: every day, or Monday to Friday."""
    day, within = np.divmod(np.arange(count, dtype=np.int64), world.bars_a_day)
    if not world.weekends:
        day += day // 5 * 2
    return np.asarray(FIRST_CLOSE_NS + day * NS_PER_DAY + (within + 1) * (NS_PER_DAY // world.bars_a_day))


def ceiling(market: Market, *, shared: bool = False) -> Ceiling:
    """What the exact Bayes filter says, knowing every parameter and all of each bar: its move, how far it reached, its volume.
    `shared`: it takes volatility for the same in all trends, and cannot tell one trend from another by that.
    """
    world = market.world
    drift, sigma = moments(world)
    sigma = _shared(sigma, transition(world)) if shared else sigma
    scale = world.daily_sigma / np.sqrt(world.bars_a_day) * _profile(world.profile, market.ts)
    open_, high, low, close = np.log(market.prices.T)
    moves, up, down = (close - open_) / scale, (high - open_) / scale, (low - open_) / scale
    reach = 2.0 * (up * (up - moves) + down * (down - moves))
    loud = np.log(market.volume / (USUAL_VOLUME * _profile(world.volume_profile, market.ts)))
    chain = transition(world)
    start = np.eye(STATES)[BULL * PHASES + CALM]
    tails = np.array([world.alpha, world.beta, world.dof, world.volume_elasticity, world.volume_noise])
    posterior = _filtered(np.column_stack((moves, reach, loud)), chain, start, drift, sigma, tails)
    by_phase = posterior.reshape(-1, len(TRENDS), PHASES)
    leaving = [leaves(chain, bars_of(world.timeframe, hours)) for hours in (24, 48)]
    return Ceiling(by_phase.sum(axis=2), by_phase[:, :, STRESSED].sum(axis=1), *(posterior @ each for each in leaving))


def _shared(sigma: Floats, chain: Floats) -> Floats:
    """Of each phase the mean over all trends, weighted by how often they are in it."""
    often = np.maximum(np.linalg.matrix_power(chain, 2**30)[0], 1e-12).reshape(-1, PHASES)  # some never have a build-up
    return np.asarray(np.tile((often * sigma.reshape(-1, PHASES)).sum(axis=0) / often.sum(axis=0), len(TRENDS)))


def bars_of(timeframe: Timeframe, hours: int) -> int:
    """Bars of `hours` of trading; at least one."""
    return max(1, hours * NS_PER_DAY // 24 // timeframe.ns)


def leaves(chain: Floats, bars: int) -> Floats:
    """By state, the probability that trend or stress is another one at some bar of the next `bars`."""
    label = np.array([(state // PHASES, state % PHASES == STRESSED) for state in range(STATES)])
    same = (label[:, None, :] == label[None, :, :]).all(axis=2)
    stays = np.asarray(np.linalg.matrix_power(np.where(same, chain, 0.0), bars))
    return np.asarray(1.0 - stays.sum(axis=1))


def _profile(by_hour: tuple[float, ...], ts: Ints) -> Floats:
    """The factor of each bar's hour of the day; 1 where there is none."""
    if not by_hour:
        return np.ones(ts.size)
    return np.asarray(by_hour)[(ts - 1) // (NS_PER_DAY // 24) % 24]


def student(rng: np.random.Generator, dof: float, count: int) -> tuple[Floats, Floats]:
    """Student-t numbers of unit variance, and the variances of the normal ones that they are mixed of."""
    mixing = (dof - 2.0) / rng.chisquare(dof, count)
    return rng.standard_normal(count) * np.sqrt(mixing), mixing


def with_range(moves: Floats, variance: Floats, rng: np.random.Generator) -> Floats:
    """Open, high, low, close, float64[bars, 4], of log returns with these variances. A bar opens at the close before it; inside it the price is a Brownian bridge, whose maximum and
    minimum are drawn from their distributions (each its own, as if apart).
    """
    close = np.log(START_PX) + np.cumsum(moves)
    start = close - moves
    luck = -2.0 * variance * np.log(1.0 - rng.random((2, moves.size)))
    reach = np.sqrt(moves**2 + luck)
    high, low = start + (moves + reach[0]) / 2.0, start + (moves - reach[1]) / 2.0
    return np.asarray(np.exp(np.column_stack((start, high, low, close))))


@kernel
def _chain(cumulated: Floats, luck: Floats, first: int) -> Ints:
    out, state = np.empty(luck.size, np.int64), first
    for i in range(luck.size):
        row, after = cumulated[state], 0
        while after < row.size - 1 and luck[i] > row[after]:
            after += 1
        state = after
        out[i] = state
    return out


@kernel
def _heat(heat: Floats, square: float, sigma: Floats, alpha: float, beta: float) -> None:
    """Each state's variance over its own mean, after one more squared move."""
    for k in range(heat.size):
        heat[k] = 1.0 - alpha - beta + alpha * square / sigma[k] ** 2 + beta * heat[k]


@kernel
def _returns(
    states: Ints, shocks: Floats, drift: Floats, sigma: Floats, alpha: float, beta: float
) -> tuple[Floats, Floats]:
    """Moves of the bars and the standard deviations they were drawn with."""
    heat, moves, spread = np.ones(sigma.size), np.empty(states.size), np.empty(states.size)
    for i in range(states.size):
        k = states[i]
        spread[i] = sigma[k] * np.sqrt(heat[k])
        moves[i] = drift[k] + spread[i] * shocks[i]
        _heat(heat, moves[i] ** 2, sigma, alpha, beta)
    return moves, spread


@kernel
def _filtered(seen: Floats, chain: Floats, start: Floats, drift: Floats, sigma: Floats, tails: Floats) -> Floats:
    """Probabilities of the states after each bar, float64[bars, states]: the forward recursion, normalized at every bar.

    `seen`, float64[bars, 3], are the move, what its reach adds to its half square, and the log of volume over the usual. Given
    the bar's own variance v, move and reach have the density v^-2.5 exp(-(half square + reach) / v), and v is inverse gamma:
    that leaves a power of the sum. `tails` are alpha, beta, degrees of freedom, elasticity and noise of volume.
    """
    alpha, beta, dof, elasticity, noise = tails
    count, shape = sigma.size, dof / 2.0
    known, heat, out = start.copy(), np.ones(count), np.empty((seen.shape[0], count))
    for i in range(seen.shape[0]):
        move, reach, loud = seen[i]
        logs = np.empty(count)
        for k in range(count):
            variance = sigma[k] ** 2 * heat[k]
            rate = (dof - 2.0) * variance / 2.0
            far = (move - drift[k]) ** 2 / 2.0 + reach
            odd = (loud - elasticity * 0.5 * np.log(variance)) / noise
            logs[k] = shape * np.log(rate) - (shape + 2.5) * np.log(rate + far) - 0.5 * odd**2
        known = known @ chain * np.exp(logs - logs.max())
        known = known / known.sum()
        out[i] = known
        _heat(heat, move**2, sigma, alpha, beta)
    return out
