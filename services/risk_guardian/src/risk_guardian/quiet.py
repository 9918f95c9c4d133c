"""When the guardian has to be asked again, and how it catches up with slices in which it had nothing to do.

A backtest that skips such slices is the only one to ask. Whoever changes what the guardian does in a step looks here as well:
the plain run and the one that skips must trade the same (services/research/tests/test_fast_engine.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import inf
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.model.time import NS_PER_DAY, NS_PER_HOUR
from risk_guardian import flow, history
from risk_guardian.limits import Limits
from risk_guardian.market import Market
from risk_guardian.measures import Measures
from risk_guardian.methods import Method
from risk_guardian.policy import Level
from risk_guardian.settings import Settings
from risk_guardian.state import Ladder, State

Floats = NDArray[np.float64]
LIPSCHITZ: Final = frozenset({Method.HISTORICAL, Method.PARAMETRIC, Method.WORST})
_NEVER_NS: Final = 2**62


class Band(NamedTuple):
    """A ladder stays where it is while what it watches is at least `low` and at most `high`."""

    low: float = -inf
    high: float = inf

    @property
    def open(self) -> bool:
        """Nothing moves it."""
        return self.low == -inf and self.high == inf


class VarWatch(NamedTuple):
    """VaR was `var` at `weights` and changes by no more than the sum of `slope` times the changes of the weights."""

    band: Band
    var: float
    weights: Floats
    slope: Floats


class Volatility(NamedTuple):
    """The parts of `Market.ratios`, float64[instruments]; `normal` is NaN where a ratio is not defined."""

    band: Band
    short: int
    squares: Floats
    but_oldest: Floats
    closes: Floats
    normal: Floats


class Quiet(NamedTuple):
    """Nothing changes before `until_ns`, within one UTC day and without a 1d bar, while drawdown (from `peak` on, which rises with
    the equity), the loss since `opening`, volatility and VaR stay in their bands. None: not watched.
    """

    until_ns: int
    peak: float
    opening: float
    drawdown: Band
    daily_loss: Band
    volatility: Volatility | None
    var: VarWatch | None


class Passed(NamedTuple):
    """What the skipped slices brought, the last one being number `step` at `ts`, `pace_ns` after the one before it: by instrument
    the last closes of base bars, when they came, when there last was a quote, and the volumes of the bars; the largest and the
    smallest equity, and the last.
    """

    step: int
    ts: int
    pace_ns: int
    closes: Mapping[str, float]
    closed_ns: Mapping[str, int]
    quoted_ns: Mapping[str, int]
    volumes: Mapping[str, Sequence[float]]
    highest: Decimal
    lowest: Decimal
    equity: Decimal


def quiet(state: State, settings: Settings, measures: Measures) -> Quiet | None:
    """As of the last step, nothing being under way at the venue. None: ask at the next slice."""
    busy = state.demands or state.working or state.venue_down_ns is not None
    held = any(position.signed_qty for position in state.ledger.positions.values())
    if busy or (state.flatten and held) or state.equity is None or state.equity <= 0 or state.peak_equity <= 0:
        return None
    ladders = settings.ladders
    if held and (ladders.stress or (ladders.var and settings.measures.method not in LIPSCHITZ)):
        return None
    bands, until_ns = dict[str, Band](), state.alerts.due_ns or _NEVER_NS
    for metric, stood in state.ladders.items():
        bands[metric], until = _band(getattr(ladders, metric), stood, state.ts)
        until_ns = min(until_ns, until)
    drawdown, daily_loss, volatility, var = (
        bands.get(name) or _ground(getattr(ladders, name)) for name in ("drawdown", "daily_loss", "volatility", "var")
    )
    pause = settings.streaks.lift_after_days * NS_PER_DAY
    if pause:
        until_ns = min([until_ns, *(since + pause for since in state.streaks.paused.values())])
    return Quiet(
        until_ns=until_ns,
        peak=float(state.peak_equity),
        opening=float(state.day.opening),
        drawdown=drawdown,
        daily_loss=daily_loss,
        volatility=None if volatility.open else _volatility(volatility, measures.market_of(state)),
        var=_var(var, state, measures) if held and not var.open else None,
    )


def catch_up(state: State, limits: Limits, passed: Passed) -> None:
    """The state as if all of the slices had come one by one, but for the schedule of the reports, which are not said."""
    for instrument_id, close in passed.closes.items():
        state.last_px[instrument_id] = state.instruments[instrument_id].round_price(close)
    state.last_px_ns.update(passed.closed_ns)
    state.step, state.ts, state.equity = passed.step, passed.ts, passed.equity
    jump_ns = int(limits.max_clock_jump_hours * NS_PER_HOUR)
    flow.catch_up(state.flow, passed, jump_ns=jump_ns, volumes=bool(limits.max_volume_share))
    history.catch_up(state.measures, passed.closes, passed.volumes)
    state.peak_equity = max(state.peak_equity, passed.highest)
    opening = state.day.opening
    if opening > 0:
        state.day.worst_loss = max(state.day.worst_loss, float((opening - passed.lowest) / opening))


def _ground(levels: Sequence[Level]) -> Band:
    return Band(high=levels[0].trigger) if levels else Band()


def _band(levels: Sequence[Level], ladder: Ladder, ts: int) -> tuple[Band, int]:
    """What keeps a ladder that stands where it is, and until when that stays so."""
    level, until_ns = ladder.level, _NEVER_NS
    high = levels[level].trigger if level < len(levels) else inf
    for rung in levels[:level]:
        lifted = ladder.since_ns + rung.lift_after_days * NS_PER_DAY
        if rung.lift_after_days and lifted > ts:
            until_ns = min(until_ns, lifted)
    stood_on = levels[level - 1]
    held_until = ladder.since_ns + stood_on.hold_days * NS_PER_DAY
    if stood_on.manual:
        return Band(high=high), until_ns
    if held_until > ts:
        return Band(high=high), min(until_ns, held_until)
    return Band(stood_on.release, high), until_ns


def _volatility(band: Band, market: Market) -> Volatility:
    return Volatility(
        band, market.short, market.short_squares, market.squares_but_oldest, market.closes, market.comparable
    )


def _var(band: Band, state: State, measures: Measures) -> VarWatch | None:
    """None where it is not defined, which weights alone do not change. What the guardian saw at the last step still holds."""
    test = state.measures.backtest
    if test.next_var is None:
        return None
    return VarWatch(band, test.next_var, test.next_weights, measures.slope_of_var(state))
