"""Ways out beside the plain stop (PFL-09): profit taken in parts, stops that follow, a time limit, a changed regime.

Pure: what happened goes in, what to do comes out. Everything is judged at closes, but for stops, which a bar touches. All
distances are in average true ranges of the opinion's own timeframe, as of the entry: a strategy on four-hour bars does not
leave over the noise of minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from math import inf
from typing import Final, NamedTuple

import msgspec

from common.messages.market_data import Bar, MarketSlice
from common.messages.regime import RegimeReading, RegimeStep
from common.model.enums import Direction, Regime
from common.model.time import NS_PER_HOUR, Timeframe
from portfolio.settings import ExitSettings

FEATURE: Final = "exits"
_NEVER_NS: Final = 2**62

# Regimes in which a direction has lost its ground, when they were not those of the entry.
_LOST_GROUND: Final[Mapping[Direction, frozenset[Regime]]] = {
    Direction.LONG: frozenset({Regime.TRENDING_DOWN, Regime.CRISIS}),
    Direction.SHORT: frozenset({Regime.TRENDING_UP, Regime.CRISIS}),
    Direction.FLAT: frozenset(),
}


class Watch(msgspec.Struct):
    """What exits know of the market, by instrument and timeframe: the last closes, newest last, and the last reading."""

    closes: dict[str, dict[Timeframe, list[float]]] = msgspec.field(default_factory=dict)
    readings: dict[str, dict[Timeframe, RegimeReading]] = msgspec.field(default_factory=dict)


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the exits of one holding have come. `sign` is +1 long, -1 short; `levels` counts partial exits taken.

    Nothing can happen between `stop_px`, `wake_px` and `until_ns`; they follow from the rest.
    """

    sign: int
    entry_px: float
    entry_ns: int
    atr: float | None = None  # in price units; None until the regime service knows it
    regime: Regime | None = None  # at entry
    levels: int = 0
    breakeven: bool = False
    tightened: bool = False
    stop_px: float
    stop_why: str = ""
    wake_px: float
    until_ns: int


class Verdict(NamedTuple):
    """What becomes of a holding: `out` closes all of it. An empty `why` changes nothing that trades."""

    progress: Progress
    out: bool
    why: str


class View(NamedTuple):
    """What a review sees: the bar that prices the instrument, and of the opinion's timeframe the last reading and closes;
    no closes unless a bar of it has just closed.
    """

    ts: int
    bar: Bar
    reading: RegimeReading | None
    closes: Sequence[float]


def observe(watch: Watch, market: MarketSlice, regimes: Iterable[RegimeStep], settings: ExitSettings) -> None:
    """Takes in the bars and readings of a step."""
    keep = settings.momentum_bars + 2
    for bar in market.bars:
        closes = watch.closes.setdefault(bar.instrument_id, {}).setdefault(bar.timeframe, [])
        closes.append(bar.close)
        if len(closes) > keep:
            del closes[0]
    for step in regimes:
        for reading in step.readings:
            watch.readings.setdefault(reading.instrument_id, {})[reading.timeframe] = reading


def entered(
    direction: Direction, px: float, ts: int, reading: RegimeReading | None, settings: ExitSettings
) -> Progress:
    """A holding that opens now at `px`."""
    limit = settings.time_limit_hours * NS_PER_HOUR
    sign = direction.sign
    fresh = Progress(
        sign=sign,
        entry_px=px,
        entry_ns=ts,
        stop_px=-sign * inf,
        wake_px=sign * inf,
        until_ns=ts + limit if limit else _NEVER_NS,
    )
    return _informed(fresh, reading, settings)


def kept(progress: Progress, settings: ExitSettings) -> Decimal:
    """What the partial exits have left of the share that its size would be, in [0, 1]."""
    gone = sum((Decimal(repr(level.fraction)) for level in settings.levels[: progress.levels]), Decimal(0))
    return max(Decimal(0), 1 - gone)


def note(progress: Progress, settings: ExitSettings) -> str:
    """`exit 2 of 3 at 3 ATR`; empty before the first."""
    if not progress.levels:
        return ""
    return f"exit {progress.levels} of {len(settings.levels)} at {settings.levels[progress.levels - 1].atr:g} ATR"


def is_quiet(progress: Progress, bar: Bar, ts: int) -> bool:
    """Whether this bar can change nothing, as long as none of the opinion's own timeframe closed."""
    if progress.sign > 0:
        return progress.stop_px < bar.low and bar.close < progress.wake_px and ts < progress.until_ns
    return progress.stop_px > bar.high and bar.close > progress.wake_px and ts < progress.until_ns


def review(progress: Progress, direction: Direction, view: View, settings: ExitSettings) -> Verdict | None:
    """What the step means for a holding; None when nothing changes. A level that has fired never fires again."""
    for way_out in _WAYS_OUT:
        if why := way_out(progress, direction, view, settings):
            return Verdict(progress, True, why)
    after, reasons = _informed(progress, view.reading, settings), []
    for change, words in _CHANGES:
        changed = change(after, view, settings)
        if changed is not after:
            after = changed
            reasons.append(words(after, settings))
    if after is progress:
        return None
    return Verdict(_armed(after, settings), not kept(after, settings), ", ".join(reasons))


# --- out at once -------------------------------------------------------------------------------------


def _stop_touched(progress: Progress, direction: Direction, view: View, settings: ExitSettings) -> str:
    worst = view.bar.low if progress.sign > 0 else view.bar.high
    return "" if progress.sign * (worst - progress.stop_px) > 0 else f"{progress.stop_why} stop touched"


def _time_is_up(progress: Progress, direction: Direction, view: View, settings: ExitSettings) -> str:
    return "" if view.ts < progress.until_ns else f"time limit of {settings.time_limit_hours} h"


def _regime_turned(progress: Progress, direction: Direction, view: View, settings: ExitSettings) -> str:
    if not settings.regime_change or view.reading is None or progress.regime in (None, view.reading.regime):
        return ""
    turned = view.reading.regime in _LOST_GROUND[direction]
    return f"regime {view.reading.regime} after {progress.regime}" if turned else ""


_WAYS_OUT: Final = (_stop_touched, _time_is_up, _regime_turned)


# --- what changes the share or its stop ------------------------------------------------------------------


def _take_profit(progress: Progress, view: View, settings: ExitSettings) -> Progress:
    reached, favor = progress.levels, _favor(progress, view.bar.close)
    while reached < len(settings.levels) and favor >= settings.levels[reached].atr:
        reached += 1
    return progress if reached == progress.levels else msgspec.structs.replace(progress, levels=reached)


def _break_even(progress: Progress, view: View, settings: ExitSettings) -> Progress:
    if progress.breakeven or not settings.breakeven_atr or _favor(progress, view.bar.close) < settings.breakeven_atr:
        return progress
    return msgspec.structs.replace(_with_stop(progress, progress.entry_px, "breakeven"), breakeven=True)


def _tighten(progress: Progress, view: View, settings: ExitSettings) -> Progress:
    if progress.tightened or progress.atr is None or not settings.tighten_atr:
        return progress
    if not momentum_turned(view.closes, progress.sign, settings.momentum_bars):
        return progress
    stop_px = view.bar.close - progress.sign * settings.tighten_atr * progress.atr
    return msgspec.structs.replace(_with_stop(progress, stop_px, "tightened"), tightened=True)


_Change = Callable[[Progress, View, ExitSettings], Progress]
_Words = Callable[[Progress, ExitSettings], str]
_CHANGES: Final[Sequence[tuple[_Change, _Words]]] = (
    (_take_profit, note),
    (_break_even, lambda progress, settings: f"stop to breakeven after {settings.breakeven_atr:g} ATR"),
    (_tighten, lambda progress, settings: f"stop to {settings.tighten_atr:g} ATR as momentum turned"),
)


def momentum_turned(closes: Sequence[float], sign: int, bars: int) -> bool:
    """Whether the newest close lies on the wrong side of the one `bars` before, while the close before did not (`sign` +1: the
    wrong side is below). False without enough closes.
    """
    if len(closes) < bars + 2:
        return False
    now, before = closes[-1] - closes[-1 - bars], closes[-2] - closes[-2 - bars]
    return sign * now < 0 <= sign * before


def _favor(progress: Progress, close: float) -> float:
    """How far the price has gone the right way, in ATR; -inf while that is unknown."""
    return progress.sign * (close - progress.entry_px) / progress.atr if progress.atr else -inf


def _with_stop(progress: Progress, stop_px: float, why: str) -> Progress:
    """The tighter of the stop it has and this one."""
    if progress.sign * (stop_px - progress.stop_px) <= 0:
        return progress
    return msgspec.structs.replace(progress, stop_px=stop_px, stop_why=why)


def _informed(progress: Progress, reading: RegimeReading | None, settings: ExitSettings) -> Progress:
    """With ATR and regime of the entry, or as soon after it as they are known."""
    atr = progress.atr or (reading.atr if reading else None)
    regime = progress.regime or (reading.regime if reading else None)
    if atr == progress.atr and regime is progress.regime:
        return progress
    return _armed(msgspec.structs.replace(progress, atr=atr, regime=regime), settings)


def _armed(progress: Progress, settings: ExitSettings) -> Progress:
    """With the next price at which something may fire."""
    waiting = [level.atr for level in settings.levels[progress.levels : progress.levels + 1]]
    if settings.breakeven_atr and not progress.breakeven:
        waiting.append(settings.breakeven_atr)
    distance = min(waiting) * progress.atr if waiting and progress.atr else inf
    # A shade early: rounding must not let a level sleep that a review would find reached.
    wake_px = progress.entry_px + progress.sign * distance * (1 - 1e-9)
    return msgspec.structs.replace(progress, wake_px=wake_px)
