"""The market as a whole (REG-03, REG-07): how instruments move together, and how much strain they are under.

Instruments are rows in order of their ids, so that sums are the same bits in whatever order they were met.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from common.model.time import NS_PER_DAY
from common.quant.dependence import PAIR, pair_step
from common.quant.kernel import NAN, Floats, Ints, kernel
from common.quant.volatility import RANK_STATE, VOL_RATIO_STATE, percent_rank_step, vol_ratio_step
from regime.settings import Settings

Bools: TypeAlias = NDArray[np.bool_]

# Words per instrument: those of its volatility ratio, of which the second is its last close, the ratio, and the ns between its
# last two bars.
_CLOSE: Final = 1
_RATIO: Final = VOL_RATIO_STATE
_SPAN: Final = VOL_RATIO_STATE + 1
WORDS: Final = VOL_RATIO_STATE + 2
# Words per pair: those of its correlation, the correlation, whether it is known, its slow mean, and how long that is.
RHO, KNOWN, USUAL, AGE = range(PAIR, PAIR + 4)
PAIR_WORDS: Final = PAIR + 4
# Words of the structure: changes seen, the usual distance; what ranks the distance follows.
_DISTANCES, _DISTANCE = range(2)
STRUCTURE: Final = 2 + RANK_STATE
CRISIS_STATE: Final = 2
# Words of strain per instrument.
_BEFORE, _DRIFT, _VARIANCE, _RETURNS, _SPREAD, _USUAL_SPREAD, _SPREADS, _ILLIQUID, _USUAL_ILLIQUID, _TRADED = range(10)
STRAIN: Final = 10
# Columns of what strain says.
DRAWDOWN, SPREAD, LIQUIDITY = range(3)

# Parameters: see `parameters`.
DECAY, WARMUP, CRISIS, RELEASE, HOT, COOL, CURRENT, NORMAL, OLD_ENOUGH, SLOW, WINDOW, RARE, FAR = range(13)

_LEAST_PAIRS: Final = 3  # three instruments have three
_SILENT_NS: Final = float(NS_PER_DAY)  # who says nothing for longer, and for longer than
_SILENT_BARS: Final = 4.0  # of its own bars, is not in the market any more
_FASTEST_FALL: Final = 4.0  # standard deviations of the mean return: a full mark
_WIDEST_SPREAD: Final = 3.0  # times the usual one
_LEAST_LIQUID: Final = 5.0  # times the usual move per unit traded


def parameters(settings: Settings) -> Floats:
    """What the kernels go by."""
    s, market = settings, settings.market
    together = [market.decay, market.warmup, market.crisis_correlation, market.release_correlation]
    hot = [market.crisis_volatility, market.release_volatility, s.vol_current, s.vol_normal, s.vol_warmup]
    structure = [market.usual_decay, market.rank_window, market.breakdown_rank, market.breakdown_factor]
    return np.array([*together, *hot, *structure], np.float64)


@kernel
def together_step(
    ts: int, rows: Ints, prices: Floats, last_ns: Ints, words: Floats, pairs: Floats, by: Floats
) -> tuple[float, float]:
    """Mean absolute correlation of all pairs and mean ratio of current to normal volatility after the bars of one slice.

    `rows` are rising, `prices` float64[bars, 3]: high, low, close. A pair learns of this slice where both have a bar, and had
    their last ones at one time: returns over different spans say nothing about each other; nor do two that stood still, and what
    moves first after hours of that would be all that is known. NaN while fewer than three pairs, or no ratio, are known of those
    that are `heard`.
    """
    count = rows.size
    moves = np.empty(count)
    for a in range(count):
        of = words[rows[a]]
        moves[a] = np.log(prices[a, 2] / of[_CLOSE]) if of[_CLOSE] > 0.0 else 0.0
        of[_RATIO] = vol_ratio_step(
            of[:VOL_RATIO_STATE], prices[a, 0], prices[a, 1], prices[a, 2], by[CURRENT], by[NORMAL], by[OLD_ENOUGH]
        )
    for a in range(count):
        for b in range(a + 1, count):
            i, j = rows[a], rows[b]
            moved = moves[a] != 0.0 or moves[b] != 0.0
            if moved and last_ns[i] == last_ns[j] and last_ns[i] != 0:
                rho = pair_step(pairs[i, j, :PAIR], moves[a], moves[b], by[DECAY], by[WARMUP])
                known = not np.isnan(rho)
                pairs[i, j, RHO] = rho if known else 0.0
                pairs[i, j, KNOWN] = 1.0 if known else 0.0
    for a in range(count):
        i = rows[a]
        words[i, _SPAN] = ts - last_ns[i] if last_ns[i] != 0 else 0.0
        last_ns[i] = ts
    there = heard(ts, last_ns, words)
    return _mean_correlation(pairs, there), _mean_ratio(words, there)


@kernel
def heard(ts: int, last_ns: Ints, words: Floats) -> Bools:
    """Of each instrument, whether it still takes part: what it said last is no longer than a day ago, or than four of its bars."""
    out = np.empty(last_ns.size, np.bool_)
    for i in range(last_ns.size):
        out[i] = ts - last_ns[i] <= max(_SILENT_NS, _SILENT_BARS * words[i, _SPAN])
    return out


@kernel
def _mean_correlation(pairs: Floats, there: Bools) -> float:
    total, known = 0.0, 0.0
    for i in range(pairs.shape[0]):
        for j in range(i + 1, pairs.shape[0]):
            if there[i] and there[j]:
                total += abs(pairs[i, j, RHO])
                known += pairs[i, j, KNOWN]
    return total / known if known >= _LEAST_PAIRS else NAN


@kernel
def _mean_ratio(words: Floats, there: Bools) -> float:
    total, known = 0.0, 0
    for i in range(words.shape[0]):
        if there[i] and words[i, _RATIO] > 0.0:  # neither NaN nor fresh
            total += words[i, _RATIO]
            known += 1
    return total / known if known else NAN


@kernel
def crisis_step(state: Floats, correlation: float, volatility: float, by: Floats) -> float:
    """Confidence in [0.5, 1] that there is a crisis, 0 where there is none. It begins with both above their marks; it ends when
    correlation, or volatility together with its exponential mean, is below its mark of release, or unknown.

    `state` is float64[2]: what was said before, that mean.
    """
    was, before = state
    if volatility == volatility:
        state[1] = before + (volatility - before) * (1.0 - by[DECAY]) if before > 0.0 else volatility
    if was > 0.0:
        is_one = correlation >= by[RELEASE] and max(volatility, state[1]) >= by[COOL]
    else:
        is_one = correlation > by[CRISIS] and volatility > by[HOT]
    state[0] = 0.0
    if is_one:
        state[0] = 0.5 + 0.5 * min(max((correlation - by[CRISIS]) / (1.0 - by[CRISIS]), 0.0), 1.0)
    return float(state[0])


@kernel
def crises(ts: Ints, first: Ints, rows: Ints, prices: Floats, instruments: int, by: Floats) -> Floats:
    """`crisis_step` over a whole market: float64[slices]. The base bars of slice i are those from `first[i]` to before
    `first[i + 1]`, of instruments `rows`, rising within a slice.
    """
    last_ns, words = np.zeros(instruments, np.int64), np.zeros((instruments, WORDS))
    pairs, state, out = np.zeros((instruments, instruments, PAIR_WORDS)), np.zeros(CRISIS_STATE), np.empty(ts.size)
    for i in range(ts.size):
        start, stop = first[i], first[i + 1]
        if stop > start:
            correlation, volatility = together_step(
                ts[i], rows[start:stop], prices[start:stop], last_ns, words, pairs, by
            )
            crisis_step(state, correlation, volatility, by)
        out[i] = state[0]
    return out


@kernel
def structure_step(pairs: Floats, there: Bools, state: Floats, by: Floats) -> tuple[float, bool]:
    """How far correlations are from their own slow mean, as a rank among the last distances in [0, 1], NaN while those are too few;
    and whether that is a breakdown: rare in its own past, and a multiple of the usual distance. `there`: who is `heard`.
    """
    total, known = 0.0, 0
    for i in range(pairs.shape[0]):
        for j in range(i + 1, pairs.shape[0]):
            pair = pairs[i, j]
            if pair[KNOWN] == 0.0 or not (there[i] and there[j]):
                continue
            if pair[AGE] > 0.0:
                total += abs(pair[RHO] - pair[USUAL])
                known += 1
            pair[AGE] += 1.0
            pair[USUAL] += (pair[RHO] - pair[USUAL]) * max(1.0 / pair[AGE], 1.0 - by[SLOW])
    if known < _LEAST_PAIRS:
        return NAN, False
    distance, usual = total / known, state[_DISTANCE]
    state[_DISTANCES] += 1.0
    state[_DISTANCE] += (distance - usual) * max(1.0 / state[_DISTANCES], 1.0 - by[SLOW])
    rank = percent_rank_step(state[2:], distance, int(by[WINDOW]))
    return rank, rank >= by[RARE] and distance >= by[FAR] * usual


@kernel
def strain_step(rows: Ints, values: Floats, there: Bools, strain: Floats, by: Floats, out: Floats) -> None:
    """Speed of falling, spreads and illiquidity after the bars of one slice, each a mean over instruments of marks in [0, 1], NaN
    where nobody knows. `there`: who is `heard`. `values` is float64[bars, 3]: close, spread over close (NaN: none), volume (0: none).

    Falling is the mean return of about `vol_current` bars against its standard deviation in a market that goes nowhere; spread
    and move per unit traded (Amihud 2002) are compared with their own usual level.
    """
    fast, slow = 2.0 / (by[CURRENT] + 1.0), 2.0 / (by[NORMAL] + 1.0)
    for a in range(rows.size):
        of, close, spread, volume = strain[rows[a]], values[a, 0], values[a, 1], values[a, 2]
        before = of[_BEFORE]
        of[_BEFORE] = close
        if before == 0.0:
            continue
        move = np.log(close / before)
        of[_RETURNS] += 1.0
        of[_DRIFT] += (move - of[_DRIFT]) * fast
        of[_VARIANCE] += (move * move - of[_VARIANCE]) * max(1.0 / of[_RETURNS], slow)
        if spread >= 0.0:
            of[_SPREADS] += 1.0
            of[_SPREAD] += (spread - of[_SPREAD]) * max(1.0 / of[_SPREADS], fast)
            of[_USUAL_SPREAD] += (spread - of[_USUAL_SPREAD]) * max(1.0 / of[_SPREADS], slow)
        if volume > 0.0:
            of[_TRADED] += 1.0
            of[_ILLIQUID] += (abs(move) / volume - of[_ILLIQUID]) * max(1.0 / of[_TRADED], fast)
            of[_USUAL_ILLIQUID] += (abs(move) / volume - of[_USUAL_ILLIQUID]) * max(1.0 / of[_TRADED], slow)
    _marks(strain, there, fast, by[OLD_ENOUGH], out)


@kernel
def _marks(strain: Floats, there: Bools, fast: float, warmup: float, out: Floats) -> None:
    usual_drift = np.sqrt(fast / (2.0 - fast))  # deviation of an exponential mean of independent returns of deviation 1
    totals, known = np.zeros(3), np.zeros(3)
    for i in range(strain.shape[0]):
        of = strain[i]
        if not there[i]:
            continue
        if of[_RETURNS] >= warmup and of[_VARIANCE] > 0.0:
            falling = -of[_DRIFT] / (usual_drift * np.sqrt(of[_VARIANCE]))
            totals[DRAWDOWN] += min(max(falling / _FASTEST_FALL, 0.0), 1.0)
            known[DRAWDOWN] += 1.0
        if of[_SPREADS] >= warmup and of[_USUAL_SPREAD] > 0.0:
            totals[SPREAD] += _mark(of[_SPREAD] / of[_USUAL_SPREAD], _WIDEST_SPREAD)
            known[SPREAD] += 1.0
        if of[_TRADED] >= warmup and of[_USUAL_ILLIQUID] > 0.0:
            totals[LIQUIDITY] += _mark(of[_ILLIQUID] / of[_USUAL_ILLIQUID], _LEAST_LIQUID)
            known[LIQUIDITY] += 1.0
    for part in range(3):
        out[part] = totals[part] / known[part] if known[part] > 0.0 else NAN


@kernel
def _mark(times: float, worst: float) -> float:
    """0 at the usual level and below, 1 at `worst` times of it and above."""
    return min(max((times - 1.0) / (worst - 1.0), 0.0), 1.0)


def warm() -> None:
    """Compiles what is called from outside."""
    by, rows, one = parameters(Settings()), np.zeros(1, np.int64), np.zeros(1, np.int64)
    words, pairs, structure = np.zeros((1, WORDS)), np.zeros((1, 1, PAIR_WORDS)), np.zeros(STRUCTURE + 500)
    together_step(1, rows, np.ones((1, 3)), one, words, pairs, by)
    crisis_step(np.zeros(CRISIS_STATE), 0.5, 0.5, by)
    there = heard(1, one, words)
    structure_step(pairs, there, structure, by)
    strain_step(rows, np.ones((1, 3)), there, np.zeros((1, STRAIN)), by, np.empty(3))
    crises(one, np.zeros(2, np.int64), rows, np.ones((1, 3)), 1, by)
