"""What kind of market the values speak of (REG-01, REG-02): a table, asked from top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from common.model.enums import Regime, VolState
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


class Rule(NamedTuple):
    """`depth` says how far past its thresholds a rule is: 0 or less just there, 1 or more as clear as can be."""

    regime: Regime
    applies: Callable[[Values, Settings], bool]
    depth: Callable[[Values, Settings], float]


def insufficient(v: Values, s: Settings) -> bool:
    """One of the values that every verdict needs is NaN (then so is their sum)."""
    needed = v.adx + v.plus_di + v.minus_di + v.chop + v.atr + v.bb_width
    return needed != needed


def volatile(v: Values, s: Settings) -> bool:
    """This bar is a spike, volatility is at stress level, or ATR is high in its own past while volatility is raised."""
    raised = v.atr_percentile > s.atr_high and v.vol_ratio >= s.vol_elevated
    return raised or v.atr_ratio > s.atr_spike or v.vol_ratio > s.vol_stress


def volatile_depth(v: Values, s: Settings) -> float:
    excess = (v.atr_ratio / s.atr_spike - 1.0, v.vol_ratio / s.vol_stress - 1.0)
    return max((x for x in excess if x == x), default=0.0)


def trending(v: Values, s: Settings) -> bool:
    """A strong trend that is not choppy, or a moderate one that moves straight."""
    return (v.adx > s.adx_trend and v.chop <= s.chop_choppy) or (v.adx >= s.adx_range and v.chop < s.chop_trend)


def trending_up(v: Values, s: Settings) -> bool:
    return trending(v, s) and v.plus_di > v.minus_di


def trending_down(v: Values, s: Settings) -> bool:
    return trending(v, s) and v.plus_di < v.minus_di


def trend_depth(v: Values, s: Settings) -> float:
    """Mean of how strong (ADX), how straight (choppiness) and how one-sided (DI) the trend is."""
    strength = (v.adx - s.adx_range) / (2.0 * s.adx_trend - s.adx_range)
    straightness = (s.chop_choppy - v.chop) / (s.chop_choppy - s.chop_trend)
    one_sidedness = abs(v.plus_di - v.minus_di) / (v.plus_di + v.minus_di)
    return (min(strength, 1.0) + min(max(straightness, 0.0), 1.0) + one_sidedness) / 3.0


def choppy(v: Values, s: Settings) -> bool:
    return v.chop > s.chop_choppy


def choppy_depth(v: Values, s: Settings) -> float:
    return (v.chop - s.chop_choppy) / (100.0 - s.chop_choppy)


def ranging(v: Values, s: Settings) -> bool:
    """No directional strength, or Bollinger bands narrow against the usual range of a bar (a squeeze)."""
    return v.adx < s.adx_range or v.bb_width * v.close < s.squeeze_atr * v.atr


def ranging_depth(v: Values, s: Settings) -> float:
    return 1.0 - v.adx / s.adx_range


def always(v: Values, s: Settings) -> bool:
    return True


def unknown(v: Values, s: Settings) -> float:
    return -1.0


# CRISIS is market-wide (REG-03) and no verdict on one instrument.
RULES: Sequence[Rule] = (
    Rule(Regime.UNCERTAIN, insufficient, unknown),
    Rule(Regime.VOLATILE, volatile, volatile_depth),
    Rule(Regime.TRENDING_UP, trending_up, trend_depth),
    Rule(Regime.TRENDING_DOWN, trending_down, trend_depth),
    Rule(Regime.CHOPPY, choppy, choppy_depth),
    Rule(Regime.RANGING, ranging, ranging_depth),
    Rule(Regime.UNCERTAIN, always, unknown),
)


def judge(values: Values, settings: Settings) -> tuple[Regime, float]:
    """The one label of these values, with its confidence in [0, 1].

    Confidence is 0.5 + depth / 2, depth cut to [0, 1]: one half just at the thresholds; 0 where uncertain.
    """
    rule = next(rule for rule in RULES if rule.applies(values, settings))
    if rule.regime is Regime.UNCERTAIN:
        return rule.regime, 0.0
    return rule.regime, 0.5 + 0.5 * min(max(rule.depth(values, settings), 0.0), 1.0)


def vol_state(vol_ratio: float, settings: Settings) -> VolState:
    """NORMAL below `vol_elevated` and while unknown, STRESS above `vol_stress`, ELEVATED between and at both."""
    if vol_ratio > settings.vol_stress:
        return VolState.STRESS
    return VolState.ELEVATED if vol_ratio >= settings.vol_elevated else VolState.NORMAL
