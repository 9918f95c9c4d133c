"""What kind of market the values speak of (REG-01, REG-02): rules asked from top to bottom, compiled, so that a bar that
closes now and the whole past get the same verdict.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from common.model.enums import Regime, VolState
from common.quant.kernel import Floats, kernel
from regime.settings import Settings


class Values(NamedTuple):
    """What a verdict rests on, as the kernel gives it; NaN while warming. Comparisons with NaN are false, so a rule
    whose value is not known does not apply.
    """

    adx: float
    plus_di: float
    minus_di: float
    chop: float
    atr: float
    atr_percentile: float
    atr_ratio: float
    bb_width: float
    vol_ratio: float
    close: float


# Kernels name regimes and states by their place here; written out, since compiled code on disk does not see other files.
UP, DOWN, RANGING, CHOPPY, VOLATILE, CRISIS, UNCERTAIN = range(7)
REGIMES: Final = (
    Regime.TRENDING_UP,
    Regime.TRENDING_DOWN,
    Regime.RANGING,
    Regime.CHOPPY,
    Regime.VOLATILE,
    Regime.CRISIS,
    Regime.UNCERTAIN,
)
NORMAL, ELEVATED, STRESS = range(3)
VOL_STATES: Final = (VolState.NORMAL, VolState.ELEVATED, VolState.STRESS)

# Columns of a row of values, as in `Values`; the close comes beside them.
ADX, PLUS_DI, MINUS_DI, CHOP, ATR, ATR_PERCENTILE, ATR_RATIO, BB_WIDTH, VOL_RATIO = range(9)

_THRESHOLDS: Final = (
    "adx_trend",
    "adx_range",
    "chop_choppy",
    "chop_trend",
    "atr_high",
    "atr_spike",
    "squeeze_atr",
    "vol_elevated",
    "vol_stress",
)
ADX_TREND, ADX_RANGE, CHOP_CHOPPY, CHOP_TREND, ATR_HIGH, ATR_SPIKE, SQUEEZE_ATR, VOL_ELEVATED, VOL_STRESS = range(9)

# Columns of a verdict: candidate (its place in REGIMES), confidence, state of volatility (its place in VOL_STATES).
JUDGED: Final = 3


def thresholds(settings: Settings) -> Floats:
    """What the rules compare with: float64[9]."""
    return np.array([getattr(settings, name) for name in _THRESHOLDS], np.float64)


@kernel
def _insufficient(v: Floats) -> bool:
    """One of the values that every verdict needs is NaN (then so is their sum)."""
    needed = v[ADX] + v[PLUS_DI] + v[MINUS_DI] + v[CHOP] + v[ATR] + v[BB_WIDTH]
    return bool(needed != needed)


@kernel
def _volatile(v: Floats, t: Floats) -> bool:
    """This bar is a spike, volatility is at stress level, or ATR is high in its own past while volatility is raised."""
    raised = v[ATR_PERCENTILE] > t[ATR_HIGH] and v[VOL_RATIO] >= t[VOL_ELEVATED]
    return bool(raised or v[ATR_RATIO] > t[ATR_SPIKE] or v[VOL_RATIO] > t[VOL_STRESS])


@kernel
def _volatile_depth(v: Floats, t: Floats) -> float:
    spike, stress = v[ATR_RATIO] / t[ATR_SPIKE] - 1.0, v[VOL_RATIO] / t[VOL_STRESS] - 1.0
    if np.isnan(spike):
        return 0.0 if np.isnan(stress) else float(stress)
    return float(spike if np.isnan(stress) else max(spike, stress))


@kernel
def _trending(v: Floats, t: Floats) -> bool:
    """A strong trend that is not choppy, or a moderate one that moves straight."""
    strong = v[ADX] > t[ADX_TREND] and v[CHOP] <= t[CHOP_CHOPPY]
    return bool(strong or (v[ADX] >= t[ADX_RANGE] and v[CHOP] < t[CHOP_TREND]))


@kernel
def _trend_depth(v: Floats, t: Floats) -> float:
    """Mean of how strong (ADX), how straight (choppiness) and how one-sided (DI) the trend is."""
    strength = (v[ADX] - t[ADX_RANGE]) / (2.0 * t[ADX_TREND] - t[ADX_RANGE])
    straightness = (t[CHOP_CHOPPY] - v[CHOP]) / (t[CHOP_CHOPPY] - t[CHOP_TREND])
    one_sidedness = abs(v[PLUS_DI] - v[MINUS_DI]) / (v[PLUS_DI] + v[MINUS_DI])
    return float(min(strength, 1.0) + min(max(straightness, 0.0), 1.0) + one_sidedness) / 3.0


@kernel
def _ranging(v: Floats, close: float, t: Floats) -> bool:
    """No directional strength, or Bollinger bands narrow against the usual range of a bar (a squeeze)."""
    return bool(v[ADX] < t[ADX_RANGE] or v[BB_WIDTH] * close < t[SQUEEZE_ATR] * v[ATR])


@kernel
def _confidence(depth: float) -> float:
    """`depth` says how far past its thresholds a rule is: 0 or less just there, 1 or more as clear as can be."""
    return 0.5 + 0.5 * min(max(depth, 0.0), 1.0)


@kernel
def _verdict(v: Floats, close: float, t: Floats) -> tuple[int, float]:
    """The one label of these values, with its confidence in [0, 1]: one half just at the thresholds, 0 where uncertain.

    CRISIS is market-wide (REG-03) and no verdict on one instrument.
    """
    if _insufficient(v):
        return UNCERTAIN, 0.0
    if _volatile(v, t):
        return VOLATILE, _confidence(_volatile_depth(v, t))
    if _trending(v, t) and v[PLUS_DI] != v[MINUS_DI]:
        return (UP if v[PLUS_DI] > v[MINUS_DI] else DOWN), _confidence(_trend_depth(v, t))
    if v[CHOP] > t[CHOP_CHOPPY]:
        return CHOPPY, _confidence((v[CHOP] - t[CHOP_CHOPPY]) / (100.0 - t[CHOP_CHOPPY]))
    if _ranging(v, close, t):
        return RANGING, _confidence(1.0 - v[ADX] / t[ADX_RANGE])
    return UNCERTAIN, 0.0


@kernel
def _vol_state(ratio: float, t: Floats) -> int:
    """NORMAL below `vol_elevated` and while unknown, STRESS above `vol_stress`, ELEVATED between and at both."""
    if ratio > t[VOL_STRESS]:
        return STRESS
    return ELEVATED if ratio >= t[VOL_ELEVATED] else NORMAL


@kernel
def verdicts(values: Floats, prices: Floats, t: Floats) -> Floats:
    """The verdict on each bar, float64[bars, 3]: candidate, confidence, state of volatility.

    `values` is float64[bars, 9], `prices` float64[bars, 3]: high, low, close; `t` are the `thresholds`.
    """
    out = np.empty((values.shape[0], JUDGED))
    for i in range(values.shape[0]):
        out[i, 0], out[i, 1] = _verdict(values[i], prices[i, 2], t)
        out[i, 2] = _vol_state(values[i, VOL_RATIO], t)
    return out


def judge(values: Values, settings: Settings) -> tuple[Regime, float]:
    """The one label of these values, with its confidence in [0, 1].

    Confidence is 0.5 + depth / 2, depth cut to [0, 1]: one half just at the thresholds; 0 where uncertain.
    """
    candidate, confidence, _ = _judged(values, settings)
    return REGIMES[int(candidate)], float(confidence)


def vol_state(vol_ratio: float, settings: Settings) -> VolState:
    """NORMAL below `vol_elevated` and while unknown, STRESS above `vol_stress`, ELEVATED between and at both."""
    unknown = Values._make([float("nan")] * len(Values._fields))
    return VOL_STATES[int(_judged(unknown._replace(vol_ratio=vol_ratio), settings)[2])]


def _judged(values: Values, settings: Settings) -> Floats:
    *known, close = values
    judged: Floats = verdicts(np.array([known]), np.full((1, 3), close), thresholds(settings))[0]
    return judged


def warm() -> None:
    """Compiles the rules."""
    judge(Values._make([1.0] * len(Values._fields)), Settings())
