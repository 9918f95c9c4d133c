"""What a strategy is. Everything a strategy's file needs is imported from here; docs/adding-a-strategy.md shows how.

A strategy has no memory: it sees the features and prices of this bar and the bar before, and says what it thinks. Being
in a position, confirmations, holding times, sizes and stops are the framework's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np

from common.messages.market_data import Bar
from common.messages.regime import RegimeReading
from common.model.enums import Direction, Regime, Tier, VolState
from common.model.time import Timeframe
from common.quant.kernel import Floats
from signals.features import (
    Adx,
    Atr,
    AtrPercentile,
    Chop,
    Ema,
    Feature,
    Macd,
    MacdSignal,
    Poc,
    Roc,
    Rsi,
    Sma,
    Std,
    Vah,
    Val,
    VolumeHere,
    Wma,
)
from signals.kernel import STANDS, Codes

__all__ = [
    "STANDS",
    "Adx",
    "Atr",
    "AtrPercentile",
    "Bar",
    "Chop",
    "Context",
    "Direction",
    "Ema",
    "Feature",
    "Floats",
    "History",
    "Macd",
    "MacdSignal",
    "Opinion",
    "Params",
    "Poc",
    "Regime",
    "RegimeReading",
    "Roc",
    "Rsi",
    "Signs",
    "Sma",
    "Std",
    "Strategy",
    "Tier",
    "Timeframe",
    "Vah",
    "Val",
    "VolState",
    "VolumeHere",
    "Wma",
    "by_sign",
    "signs",
]

Params: TypeAlias = Mapping[str, float]
Signs: TypeAlias = Codes

_FLOAT_OR_NONE: Final = (float, type(None))
_FLOATS: Final = (float, float, float)
NOTHING: Final[Mapping[Timeframe, Any]] = MappingProxyType({})
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Opinion(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy thinks of one instrument now. `strength` and `confidence` are in [0, 1]; `stop_fraction` is the
    distance of the stop as a fraction of the price, None for the usual one of the volatility state; `size_factor` in (0, 1]
    makes a position smaller, on top of what the volatility state does.
    """

    direction: Direction
    strength: float
    reason: str
    confidence: float = 1.0
    stop_fraction: float | None = None
    size_factor: float = 1.0

    def __post_init__(self) -> None:
        """Raises ValueError out of bounds."""
        if not 0.0 <= self.strength <= 1.0 or not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"strength {self.strength!r}, confidence {self.confidence!r}: expected numbers in [0, 1]")
        if self.stop_fraction is not None and not 0.0 < self.stop_fraction < 1.0:
            raise ValueError(f"stop_fraction {self.stop_fraction!r}: expected a fraction above 0 and below 1")
        if not 0.0 < self.size_factor <= 1.0:
            raise ValueError(f"size_factor {self.size_factor!r}: expected a number above 0, at most 1")


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy may look at: nothing later than the close of `bar`.

    `now` and `before` are its features on this bar and the one before, by the names it gave them, never NaN. `closes`
    are the last `window` closes, oldest first. `params` are those of the volatility state it acts in. `regime` is None
    where the regime service does not read this timeframe. `beside` holds, for the other timeframes that the strategy named,
    the same features on the last bar that has closed there by now; those not known yet, and timeframes without any, are missing.
    """

    bar: Bar
    prev_close: float
    now: Mapping[str, float]
    before: Mapping[str, float]
    params: Params
    regime: RegimeReading | None
    closes: Floats
    beside: Mapping[Timeframe, Mapping[str, float]] = NOTHING


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What `directions` looks at: a whole series, one row per bar, of each bar what `decide` would see of it. NaN where a
    feature, or the bar before, is not known yet: whatever is said there is not heard. In `beside` a feature is NaN where
    `decide` would not find it; a timeframe that the instrument does not have is missing.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    prev_close: Floats
    now: Mapping[str, Floats]
    before: Mapping[str, Floats]
    params: Params
    beside: Mapping[Timeframe, Mapping[str, Floats]] = NOTHING


class Strategy(msgspec.Struct, frozen=True, kw_only=True):
    """Declares a strategy; its file binds one to the name `strategy`.

    `features` names the numbers it needs, for given parameters. `params` holds a set of parameters for every volatility
    state in which the strategy trades; in the others it is flat. `hold_bars` is how long a direction is kept at most in
    normal volatility. `decide` is a pure function; None leaves its last opinion standing. It is first asked when every
    feature has been warm for two bars and `warmup` bars have passed. `timeframes` narrows those of the settings. `beside`
    names other timeframes whose features it looks at, whether or not strategies run on them. One that is `optional` runs only
    where the settings name it.

    `directions` makes backtests fast and changes nothing: the direction of `decide` on all bars at once, int8[bars], +1
    LONG, -1 SHORT, 0 FLAT, STANDS for None. Only for a strategy whose direction needs nothing but a `History`.
    """

    id: str
    tier: Tier
    params: Mapping[VolState, Params]
    features: Callable[[Params], Mapping[str, Feature]]
    decide: Callable[[Context], Opinion | None]
    hold_bars: int
    window: int = 0
    warmup: int = 0
    timeframes: tuple[Timeframe, ...] | None = None
    directions: Callable[[History], Signs] | None = None
    beside: tuple[Timeframe, ...] = ()
    optional: bool = False

    def runs_on(self, timeframe: Timeframe) -> bool:
        """Whether it wants this timeframe of those of the settings."""
        return self.timeframes is None or timeframe in self.timeframes

    @property
    def file(self) -> str:
        """Where `decide` was written."""
        return str(getattr(getattr(self.decide, "__code__", None), "co_filename", "?"))

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot be run."""
        checks = (
            ("id", self.id, _is_id(self.id), "letters, digits, - and _"),
            ("tier", self.tier, isinstance(self.tier, Tier), "a Tier, like Tier.CORE"),
            (
                "params",
                self.params,
                _is_params(self.params),
                "{VolState.NORMAL: {name: number}, ...}, at least one state",
            ),
            ("features", self.features, callable(self.features), "a function of the parameters"),
            ("decide", self.decide, callable(self.decide), "a function of the context"),
            ("hold_bars", self.hold_bars, _is_count(self.hold_bars, 1), "a whole number of bars, 1 or more"),
            ("window", self.window, _is_count(self.window, 0), "a whole number of bars, 0 or more"),
            ("warmup", self.warmup, _is_count(self.warmup, 0), "a whole number of bars, 0 or more"),
            ("timeframes", self.timeframes, _is_timeframes(self.timeframes), "a tuple of Timeframe, or None for all"),
            ("beside", self.beside, _are_timeframes(self.beside), "a tuple of Timeframe"),
            (
                "directions",
                self.directions,
                self.directions is None or callable(self.directions),
                "a function of the history, or None",
            ),
        )
        for name, value, good, expected in checks:
            if not good:
                raise ValueError(f"{name} = {value!r}: expected {expected}")
        for state, params in self.params.items():
            named = self.features(params)
            if not _is_named(named):
                raise ValueError(f"features in {state}: expected {{name: Sma(20), ...}}, got {named!r}")


def by_sign(value: float, *, full: float, reason: str, confidence: float = 1.0) -> Opinion:
    """LONG above zero, SHORT below, FLAT at zero; the strength grows with the size of `value` and is 1 from `full` on."""
    direction = Direction.LONG if value > 0 else Direction.SHORT if value < 0 else Direction.FLAT
    strength = 1.0 if abs(value) >= full else abs(value) / full
    return Opinion(direction=direction, strength=strength, reason=reason, confidence=confidence)


def signs(values: Floats) -> Signs:
    """The directions of `by_sign` on all bars: +1 above zero, -1 below, 0 at zero and for NaN."""
    return (values > 0).astype(np.int8) - (values < 0)


def checked(answer: object) -> Opinion | None:
    """What `decide` returned, with plain floats (a numpy number cannot travel). Raises TypeError for anything but an Opinion
    of a Direction, a text and numbers, or None.
    """
    if answer is None:
        return None
    if not isinstance(answer, Opinion):
        raise TypeError(f"decide returned {answer!r}: expected an Opinion or None")
    if type(answer.direction) is not Direction or type(answer.reason) is not str:
        raise TypeError(f"decide returned {answer!r}: expected a Direction, like Direction.LONG, and a text as reason")
    numbers = type(answer.strength), type(answer.confidence), type(answer.size_factor)
    if numbers == _FLOATS and type(answer.stop_fraction) in _FLOAT_OR_NONE:
        return answer
    return Opinion(
        direction=answer.direction,
        strength=float(answer.strength),
        reason=answer.reason,
        confidence=float(answer.confidence),
        stop_fraction=None if answer.stop_fraction is None else float(answer.stop_fraction),
        size_factor=float(answer.size_factor),
    )


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and value >= least


def _is_named(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(feature, Feature) for feature in value.values())


def _is_params(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(state, VolState) and isinstance(params, Mapping) for state, params in value.items())
    )


def _is_timeframes(value: object) -> bool:
    return value is None or _are_timeframes(value)


def _are_timeframes(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(one, Timeframe) for one in value)
