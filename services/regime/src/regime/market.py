"""What is said of the market as a whole after each slice with base bars (REG-03, REG-07)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import numpy as np

from common.messages.market_data import Bar
from common.messages.regime import MarketReading
from common.quant.kernel import NAN, Floats, Ints
from common.quant.rows import Table, high_low_close
from regime.market_kernel import (
    CRISIS_STATE,
    DRAWDOWN,
    LIQUIDITY,
    PAIR_WORDS,
    SPREAD,
    STRAIN,
    STRUCTURE,
    WORDS,
    crises,
    crisis_step,
    heard,
    parameters,
    strain_step,
    structure_step,
    together_step,
)
from regime.settings import Settings

if TYPE_CHECKING:
    Times: TypeAlias = Ints
else:
    Times = np.ndarray


class MarketState(msgspec.Struct):
    """A row per instrument in order of their ids, a square of pairs (its upper half is used), and what they amount to. The first
    word of `tension` is the confidence that there is a crisis, 0 for none.
    """

    last_ns: Times
    words: Table
    pairs: Table
    strain: Table
    structure: Table
    tension: Table
    instruments: list[str] = msgspec.field(default_factory=list)

    @property
    def crisis(self) -> float:
        return float(self.tension[0])


def fresh(settings: Settings) -> MarketState:
    """No instrument yet."""
    return MarketState(
        last_ns=np.zeros(0, np.int64),
        words=np.zeros((0, WORDS)),
        pairs=np.zeros((0, 0, PAIR_WORDS)),
        strain=np.zeros((0, STRAIN)),
        structure=np.zeros(STRUCTURE + settings.market.rank_window),
        tension=np.zeros(CRISIS_STATE),
    )


def observe(
    state: MarketState, bars: Sequence[Bar], ts_event: int, by: Floats, settings: Settings
) -> MarketReading | None:
    """The base bars of one slice into `state`, where an instrument counts once; None where there is none, or nothing is known yet.

    `by` are `parameters(settings)`.
    """
    base = {bar.instrument_id: bar for bar in reversed(bars) if bar.base}
    if not base:
        return None
    ordered = [base[instrument_id] for instrument_id in sorted(base)]
    for bar in ordered:
        _know(state, bar.instrument_id)
    rows = np.array([bisect_left(state.instruments, bar.instrument_id) for bar in ordered], np.int64)
    prices, values = high_low_close(ordered), np.array([_values(bar) for bar in ordered])
    correlation, volatility = together_step(ts_event, rows, prices, state.last_ns, state.words, state.pairs, by)
    crisis = crisis_step(state.tension, correlation, volatility, by)
    there, strain = heard(ts_event, state.last_ns, state.words), np.empty(3)
    shift, breakdown = structure_step(state.pairs, there, state.structure, by)
    strain_step(rows, values, there, state.strain, by, strain)
    return _reading(crisis > 0.0, bool(breakdown), correlation, shift, _heat(volatility, settings), strain)


def crisis_by_slice(ts: Ints, series: Sequence[tuple[str, Ints, Floats]], settings: Settings) -> Floats | None:
    """The confidence in a crisis after each slice, float64[slices]; None where too few instruments ever trade for there to be one.

    `ts` are the closes of the slices; a series is an instrument, the indexes of the slices in which its base bars close, rising,
    and their prices, float64[bars, 3]: high, low, close.
    """
    if len(series) < 3:
        return None
    ordered = sorted(series, key=lambda one: one[0])
    steps = np.concatenate([step for _, step, _ in ordered])
    rows = np.repeat(np.arange(len(ordered)), [step.size for _, step, _ in ordered])
    order = np.argsort(steps, kind="stable")
    prices = np.concatenate([prices for _, _, prices in ordered])[order]
    first = np.searchsorted(steps[order], np.arange(len(ts) + 1))
    return np.asarray(crises(ts, first, rows[order], prices, len(ordered), parameters(settings)))


def _know(state: MarketState, instrument_id: str) -> None:
    """A row for an instrument that is new; those after it move down."""
    at = bisect_left(state.instruments, instrument_id)
    if at < len(state.instruments) and state.instruments[at] == instrument_id:
        return
    state.instruments.insert(at, instrument_id)
    state.last_ns = np.insert(state.last_ns, at, 0)
    state.words, state.strain = np.insert(state.words, at, 0.0, axis=0), np.insert(state.strain, at, 0.0, axis=0)
    state.pairs = np.insert(np.insert(state.pairs, at, 0.0, axis=0), at, 0.0, axis=1)


def _values(bar: Bar) -> tuple[float, float, float]:
    return bar.close, NAN if bar.spread_close is None else bar.spread_close / bar.close, bar.volume


def _heat(volatility: float, settings: Settings) -> float:
    """0 at normal volatility and below, 1 at the stress level of an instrument and above; NaN where it is unknown."""
    return (
        volatility if volatility != volatility else min(max((volatility - 1.0) / (settings.vol_stress - 1.0), 0.0), 1.0)
    )


def _reading(
    crisis: bool, breakdown: bool, correlation: float, shift: float, volatility: float, strain: Floats
) -> MarketReading | None:
    parts = [volatility, correlation, *strain.tolist()]
    known = [part for part in parts if part == part]
    if not known:
        return None
    return MarketReading(
        crisis=crisis,
        breakdown=breakdown,
        stress_score=sum(known) / len(known),
        mean_correlation=_shown(correlation),
        correlation_shift=_shown(shift),
        volatility=_shown(volatility),
        drawdown_speed=_shown(strain[DRAWDOWN]),
        spread=_shown(strain[SPREAD]),
        liquidity=_shown(strain[LIQUIDITY]),
    )


def _shown(value: float) -> float | None:
    return float(value) if value == value else None
