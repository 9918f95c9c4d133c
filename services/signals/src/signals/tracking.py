"""From what a strategy thinks on each bar to what the framework says: confirmation, longest holding time, volatility."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from common.messages.signals import Signal
from common.model.enums import Direction, VolState
from common.model.time import Timeframe
from signals.api import Opinion, Strategy
from signals.settings import Condition


class Spoken(NamedTuple):
    """Of what a signal speaks, as of its last bar."""

    instrument_id: str
    timeframe: Timeframe
    close: float
    vol_ratio: float | None


class Track(msgspec.Struct):
    """One strategy on one series (instrument and timeframe)."""

    latest: Opinion | None = None  # the strategy's last word
    agreed: int = 0  # bars in a row with that direction
    said: Opinion | None = None  # what the others were told; None is FLAT
    said_in: VolState = VolState.NORMAL  # the volatility state it was said in
    held: int = 0  # bars since that direction was taken
    spent: Direction = Direction.FLAT  # given up after the longest holding time; not taken again until it changed


def direction_of(opinion: Opinion | None) -> Direction:
    """None is FLAT."""
    return opinion.direction if opinion else Direction.FLAT


def silence(track: Track) -> None:
    """The strategy does not act here and now: it is flat, and starts anew when it may act again."""
    track.latest, track.agreed, track.said, track.held, track.spent = None, 0, None, 0, Direction.FLAT


def listen(track: Track, opinion: Opinion | None) -> None:
    """The strategy's word on this bar. None leaves its last one standing, which so agrees for one more bar."""
    same = opinion is None or opinion.direction is direction_of(track.latest)
    track.agreed = track.agreed + 1 if same else 1
    track.latest = track.latest if opinion is None else opinion
    if direction_of(track.latest) is not track.spent:
        track.spent = Direction.FLAT


def settle(track: Track, condition: Condition, hold_bars: int) -> str:
    """What to say on this bar goes to `track.said`; returns why, when that is not in the opinion itself.

    An exit is taken at once. A new direction is taken when enough bars in a row agreed; until then the old one stands.
    A direction that was kept for its longest time is given up.
    """
    thinks, says = direction_of(track.latest), direction_of(track.said)
    track.held += says is not Direction.FLAT
    if thinks is Direction.FLAT:
        reason = track.latest.reason if track.latest else ""
        track.said, track.held = None, 0
        return reason
    if thinks is not says and thinks is not track.spent and track.agreed >= condition.confirmations:
        track.said, track.held = track.latest, 0
        return ""
    longest = longest_held(hold_bars, condition)
    if track.said is not None and track.held >= longest:
        track.said, track.held, track.spent = None, 0, says
        return held_out(longest)
    if thinks is says:
        track.said = track.latest
    return ""


def longest_held(hold_bars: int, condition: Condition) -> int:
    """Bars after which a direction is given up."""
    return max(1, round(hold_bars * condition.hold_factor))


def held_out(longest: int) -> str:
    return f"held for {longest} bars, the longest time"


def not_here(vol_state: VolState) -> str:
    return f"does not trade in {vol_state} volatility"


def warming(vol_state: VolState) -> str:
    return f"its features for {vol_state} volatility are warming up"


def make_signal(
    of: Spoken, strategy: Strategy, said: Opinion | None, said_in: VolState, condition: Condition, why: str
) -> Signal:
    """What the others are told: `said`, None for FLAT, in `said_in`, whose `condition` it is; `why` before its own reason."""
    return Signal(
        strategy_id=strategy.id,
        tier=strategy.tier,
        instrument_id=of.instrument_id,
        timeframe=of.timeframe,
        direction=direction_of(said),
        strength=said.strength if said else 0.0,
        confidence=said.confidence if said else 1.0,
        stop_fraction=(said.stop_fraction if said else None) or condition.stop_fraction,
        size_factor=condition.size_factor * (said.size_factor if said else 1.0),
        vol_state=said_in,
        vol_ratio=of.vol_ratio,
        ref_px=of.close,
        reason=why or (said.reason if said else ""),
    )
