"""Asks every strategy about every closed bar, and says what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from common.core import Effect
from common.errors import ConfigError
from common.isolation import Isolation, is_off
from common.messages.base import Message
from common.messages.control import EnableFeature
from common.messages.market_data import Bar, MarketSlice
from common.messages.regime import RegimeReading, RegimeStep
from common.messages.signals import Signal, SignalsStep
from common.model.enums import Direction, VolState
from common.model.time import Timeframe
from common.quant.kernel import Floats
from common.quant.rows import row_numbers, with_rows
from signals.api import NOTHING, Context, Strategy, checked
from signals.features import advance, inputs
from signals.plan import Entry, Variant, make_plan
from signals.settings import Settings
from signals.state import Series, State
from signals.tracking import Spoken, Track, direction_of, listen, make_signal, not_here, settle, silence, warming

NO_CLOSES: Final = np.empty(0)
_SEVERITY: Final = {state: rank for rank, state in enumerate(VolState)}


class _Look(NamedTuple):
    """One closed bar with all that is known of its series: features of this bar, then of the one before, then the close
    before; and the last closes.
    """

    bar: Bar
    reading: RegimeReading | None
    series: Series
    values: list[float]
    closes: Floats


class Signals:
    """Waits for the slice and the regime of a step, in either order, then answers with one step: opinions that changed.

    Every strategy is a feature of its own, `strategy:<id>`: one that fails again and again is switched off, and flat.
    """

    def __init__(self, settings: Settings, strategies: Sequence[Strategy]) -> None:
        self._settings = settings
        self._plan = plan = make_plan(strategies)
        self._speakers = {timeframe: plan.on(timeframe) for timeframe in settings.timeframes}
        looked_at = (other for timeframe in settings.timeframes for other in plan.beside(timeframe))
        self._timeframes = frozenset((*settings.timeframes, *looked_at))
        self._isolation = Isolation("signals", settings.isolation)
        self._conditions = {state: settings.condition(state) for state in VolState}
        self.state = State(
            layout=self._plan.layout,
            words=np.zeros((0, self._plan.words)),
            values=np.zeros((0, len(self._plan.lines))),
            closes=np.zeros((0, self._plan.longest_window)),
        )

    def handle(self, message: Message) -> Sequence[Message | Effect]:
        """Raises ConfigError when the state was saved with other strategies."""
        state = self.state
        match message:
            case MarketSlice():
                state.slices[message.step] = message
            case RegimeStep():
                state.regimes[message.step] = message
            case EnableFeature():
                self._isolation.enable(state.features, message)
                return self._isolation.said(message.book, state.last_ns)
            case _:
                return ()
        if message.step not in state.slices or message.step not in state.regimes:
            return ()
        return self._answer(state.slices.pop(message.step), state.regimes.pop(message.step))

    def pending(self) -> Sequence[Effect]:
        return ()

    def _answer(self, market: MarketSlice, regime: RegimeStep) -> Sequence[Message]:
        if self.state.layout != self._plan.layout:
            raise ConfigError(
                f"signals: the saved state is of other strategies or features ({self.state.layout}); "
                f"expected {self._plan.layout}: restore those files, or start with a fresh state"
            )
        self.state.last_ns = market.ts_event
        bars = [bar for bar in market.bars if bar.timeframe in self._timeframes]
        signals = [s for look in self._looks(bars, regime) for s in self._opinions(look)] if bars else []
        changes = self._isolation.said(market.book, market.ts_event)
        if changes:
            signals.extend(self._withdrawn())
        step = SignalsStep(ts_event=market.ts_event, book=market.book, step=market.step, signals=tuple(signals))
        return (*changes, step)

    def _withdrawn(self) -> Iterator[Signal]:
        """FLAT for whatever a strategy that is switched off has said and not taken back, on all its series."""
        state = self.state
        for entry in self._plan.entries:
            if not is_off(state.features, entry.feature):
                continue
            why = f"switched off: {state.features[entry.feature].reason}"
            for key, row in state.rows.items():
                track = state.series[row].tracks.get(entry.strategy.id)
                if track is not None and direction_of(track.said) is not Direction.FLAT:
                    silence(track)
                    instrument_id, _, timeframe = key.rpartition(" ")
                    series = Spoken(instrument_id, Timeframe(timeframe), float(state.closes[row, -1]), None)
                    yield self._signal(series, entry.strategy, track, why)

    def _looks(self, bars: Sequence[Bar], regime: RegimeStep) -> Iterator[_Look]:
        """Takes the bars in and looks at each."""
        state, prices = self.state, inputs(bars, self.state.last_ns)
        rows = row_numbers(state.rows, bars)
        self._make_room(len(state.rows))
        out = np.empty((len(bars), 2 * len(self._plan.lines) + 1))
        advance(self._plan.lines, state.words, state.values, state.closes, rows, prices, out)
        readings = {(reading.instrument_id, reading.timeframe): reading for reading in regime.readings}
        for bar, row, values in zip(bars, rows.tolist(), out.tolist(), strict=True):
            reading, series = readings.get((bar.instrument_id, bar.timeframe)), state.series[row]
            series.bars += 1
            self._adapt(series, reading)
            yield _Look(bar, reading, series, values, state.closes[row])

    def _make_room(self, count: int) -> None:
        state = self.state
        if count > len(state.series):
            state.series.extend(Series() for _ in range(count - len(state.series)))
            state.words = with_rows(state.words, count)
            state.values = with_rows(state.values, count)
            state.closes = with_rows(state.closes, count)

    def _adapt(self, series: Series, reading: RegimeReading | None) -> None:
        """Volatility must be off `series.vol_state` for some bars in a row, fewer upwards, before strategies follow it."""
        reported = reading.vol_state if reading else VolState.NORMAL
        distance = _SEVERITY[reported] - _SEVERITY[series.vol_state]
        if distance == 0:
            series.away = 0
            return
        step = 1 if distance > 0 else -1
        series.away = series.away + step if series.away * step > 0 else step
        if series.away >= self._settings.worse_after or -series.away >= self._settings.calmer_after:
            series.vol_state, series.away = reported, 0

    def _opinions(self, look: _Look) -> Iterator[Signal]:
        for entry in self._speakers.get(look.bar.timeframe, ()):
            strategy = entry.strategy
            track = look.series.tracks.setdefault(strategy.id, Track())
            said, said_in = direction_of(track.said), track.said_in
            reason = self._hear(look, entry, track)
            track.said_in = look.series.vol_state
            changed = direction_of(track.said) is not said
            if changed or (track.said is not None and track.said_in is not said_in):
                bar, vol_ratio = look.bar, look.reading.vol_ratio if look.reading else None
                series = Spoken(bar.instrument_id, bar.timeframe, bar.close, vol_ratio)
                yield self._signal(series, strategy, track, reason)

    def _hear(self, look: _Look, entry: Entry, track: Track) -> str:
        """The strategy's stand after this bar goes to `track`; returns why, when that is not in its opinion. A failure is
        heard like silence.
        """
        strategy, vol_state = entry.strategy, look.series.vol_state
        variant = entry.variants.get(vol_state)
        if variant is None:
            silence(track)
            return not_here(vol_state)
        context = _context(look, strategy, variant, self.state)
        if context is None:
            silence(track)
            return warming(vol_state)
        answer = self._isolation.attempt(
            self.state.features,
            entry.feature,
            self.state.last_ns,
            lambda: checked(strategy.decide(context)),
            None,
            file=entry.file,
        )
        listen(track, answer)
        return settle(track, self._conditions[vol_state], strategy.hold_bars)

    def _signal(self, series: Spoken, strategy: Strategy, track: Track, reason: str) -> Signal:
        return make_signal(series, strategy, track.said, track.said_in, self._conditions[track.said_in], reason)


def _context(look: _Look, strategy: Strategy, variant: Variant, state: State) -> Context | None:
    """What the strategy gets to see; None while something it needs is warming up."""
    if look.series.bars < max(strategy.window, strategy.warmup + 1, 2):
        return None
    values, behind = look.values, len(look.values) // 2
    now = {name: values[column] for name, column in variant.columns}
    before = {name: values[behind + column] for name, column in variant.columns}
    known = sum(now.values()) + sum(before.values())
    if known != known:
        return None
    return Context(
        bar=look.bar,
        prev_close=values[-1],
        now=now,
        before=before,
        params=variant.params,
        regime=look.reading,
        closes=look.closes[len(look.closes) - strategy.window :].copy() if strategy.window else NO_CLOSES,
        beside=_beside(look.bar.instrument_id, strategy.beside, variant, state) if strategy.beside else NOTHING,
    )


def _beside(
    instrument_id: str, timeframes: tuple[Timeframe, ...], variant: Variant, state: State
) -> dict[Timeframe, dict[str, float]]:
    """The features on other timeframes as of their last bars: those of this slice have been taken in already."""
    found: dict[Timeframe, dict[str, float]] = {}
    for timeframe in timeframes:
        row = state.rows.get(f"{instrument_id} {timeframe}")
        if row is not None:
            values = state.values[row]
            numbers = {name: float(values[column]) for name, column in variant.columns}
            if known := {name: number for name, number in numbers.items() if number == number}:
                found[timeframe] = known
    return found
