"""How soon the rules notice that volatility has jumped (REG-02): minute markets with jumps at random minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.model.enums import VolState
from common.model.time import NS_PER_MINUTE
from common.quant.kernel import Floats, Ints
from regime.history import look_back
from regime.rules import ATR_RATIO, VOL_STATES
from regime.settings import Settings
from research.regimes.markets import FIRST_CLOSE_NS, student, with_range
from research.regimes.worlds import FX

Bools: TypeAlias = NDArray[np.bool_]

DAYS: Final = 60
MINUTES_A_DAY: Final = 1_440
LENGTH: Final = 30  # minutes that a jump lasts
WITHIN: Final = 5  # minutes in which it is to be found
FACTORS: Final = (2.0, 3.0, 5.0)
SEEDS: Final = (101, 102, 103)
ALPHA, BETA = 0.05, 0.90
_QUIET_DAYS: Final = 2  # before the first jump: normal volatility must be known


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Of jumps by a factor. Delays are minutes of data from the last calm close to the close of the bar that tells; median and
    90th percentile of those found at all. `by_chance` is the share of calm stretches of five minutes with an alarm.
    """

    alarm: str
    factor: float
    jumps: int
    within_5_minutes: float
    doubled: int  # jumps whose five minutes did range more than twice as far as the hour before
    doubled_within_5_minutes: float | None
    by_chance: float
    found: float
    median: float | None
    p90: float | None
    false_alarms_a_day: float  # beginnings of an alarm where volatility is as ever


class Minutes(NamedTuple):
    """A minute market: float64[bars, 3] of high, low and close, closes in ns, the first bars of the jumps."""

    high_low_close: Floats
    ts: Ints
    jumps: Ints


def minute_market(factor: float, seed: int) -> Minutes:
    """Returns by GARCH(1,1) with Student-t innovations on the FX day's pattern. Once a day, at a random minute, everything moves
    `factor` times as far for half an hour; the variance that remembers does not know of it.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    count = DAYS * MINUTES_A_DAY
    shocks, mixing = student(rng, FX.dof, count)
    day = np.arange(_QUIET_DAYS, DAYS)
    jumps = day * MINUTES_A_DAY + rng.integers(0, MINUTES_A_DAY - 2 * LENGTH, day.size)
    raised = np.ones(count)
    for jump in jumps.tolist():
        raised[jump : jump + LENGTH] = factor
    hours = np.asarray(FX.profile)[np.arange(count) % MINUTES_A_DAY // 60]
    scale = FX.daily_sigma / np.sqrt(MINUTES_A_DAY) * hours * raised * _clustered(shocks)
    prices = with_range(scale * shocks, scale**2 * mixing, rng)
    ts = FIRST_CLOSE_NS + (1 + np.arange(count, dtype=np.int64)) * NS_PER_MINUTE
    return Minutes(np.ascontiguousarray(prices[:, 1:]), ts, jumps)


def _clustered(shocks: Floats) -> Floats:
    """Standard deviations of a GARCH(1,1) with these innovations and a mean variance of 1."""
    variance, out = 1.0, np.empty(shocks.size)
    for i, shock in enumerate(shocks.tolist()):
        out[i] = variance
        variance = 1.0 - ALPHA - BETA + variance * (ALPHA * shock * shock + BETA)
    return np.sqrt(out)


def alarms(market: Minutes, settings: Settings) -> Mapping[str, Bools]:
    """Bars on which each alarm is on."""
    found = look_back(market.high_low_close, market.ts, settings)
    raised = np.array([state is not VolState.NORMAL for state in VOL_STATES])[found.vol_states]
    spike = found.values[:, ATR_RATIO] > settings.atr_spike
    return {"volatility raised": raised, "volatility raised or range spike": raised | spike}


def look_for_jumps(settings: Settings) -> tuple[Found, ...]:
    """By alarm and factor, over all seeds."""
    out = []
    for factor in FACTORS:
        markets = [minute_market(factor, seed) for seed in SEEDS]
        said = [alarms(market, settings) for market in markets]
        out += [measured(name, factor, markets, [each[name] for each in said]) for name in said[0]]
    return tuple(out)


def measured(name: str, factor: float, markets: Sequence[Minutes], on: Sequence[Bools]) -> Found:
    """`on` says of every bar of each market whether the alarm is on."""
    waited: list[int] = []
    soon: list[bool] = []  # of jumps that did double the range
    jumps = begun = calm_bars = lucky = windows = 0
    for market, alarm in zip(markets, on, strict=True):
        calm = calm_minutes(market)
        jumps += market.jumps.size
        for jump in market.jumps.tolist():
            during = alarm[jump : jump + LENGTH]
            if _doubled(market, jump):
                soon.append(bool(during[:WITHIN].any()))
            waited += [int(np.argmax(during)) + 1] if during.any() else []
        rising = alarm & ~np.concatenate(([False], alarm[:-1]))
        begun += int(np.count_nonzero(rising & calm))
        calm_bars += int(np.count_nonzero(calm))
        stretches = alarm[: alarm.size // WITHIN * WITHIN].reshape(-1, WITHIN).any(axis=1)
        whole = calm[: alarm.size // WITHIN * WITHIN].reshape(-1, WITHIN).all(axis=1)
        lucky, windows = lucky + int(np.count_nonzero(stretches & whole)), windows + int(np.count_nonzero(whole))
    median, p90 = np.quantile(waited, (0.5, 0.9)) if waited else (None, None)
    return Found(
        alarm=name,
        factor=factor,
        jumps=jumps,
        within_5_minutes=sum(delay <= WITHIN for delay in waited) / jumps,
        doubled=len(soon),
        doubled_within_5_minutes=sum(soon) / len(soon) if soon else None,
        by_chance=lucky / windows,
        found=len(waited) / jumps,
        median=None if median is None else float(median),
        p90=None if p90 is None else float(p90),
        false_alarms_a_day=begun / calm_bars * MINUTES_A_DAY,
    )


def _doubled(market: Minutes, jump: int) -> bool:
    """Whether the mean range of the first five minutes is over twice that of the hour before."""
    ranges = market.high_low_close[jump - 60 : jump + WITHIN, 0] - market.high_low_close[jump - 60 : jump + WITHIN, 1]
    return bool(ranges[60:].mean() > 2.0 * ranges[:60].mean())


def calm_minutes(market: Minutes) -> Bools:
    """Bars that are neither in a jump, nor in the half hour after one, nor in the first days."""
    calm = np.ones(market.ts.size, bool)
    calm[: _QUIET_DAYS * MINUTES_A_DAY] = False
    for jump in market.jumps.tolist():
        calm[jump : jump + 2 * LENGTH] = False
    return calm
