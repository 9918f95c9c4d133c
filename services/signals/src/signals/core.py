"""Asks every strategy about every closed bar, and says what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from common.core import Effect
from common.errors import ConfigError
from common.messages.base import Message
from common.messages.market_data import Bar, MarketSlice
from common.messages.regime import RegimeReading, RegimeStep
from common.messages.signals import Signal, SignalsStep
from common.model.enums import VolState
from common.quant.kernel import Floats
from common.quant.rows import high_low_close, row_numbers, with_rows
from signals.api import Context, Opinion, Strategy, checked
from signals.blame import place
from signals.features import advance
from signals.plan import Variant, make_plan
from signals.settings import Settings
from signals.state import Series, State
from signals.tracking import Track, direction_of, listen, settle, silence

_NO_CLOSES: Final = np.empty(0)
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
    """Waits for the slice and the regime of a step, in either order, then answers with one step: opinions that changed."""

    def __init__(self, settings: Settings, strategies: Sequence[Strategy]) -> None:
        self._settings = settings
        self._timeframes = frozenset(settings.timeframes)
        self._plan = make_plan(strategies)
        self._conditions = {state: settings.condition(state) for state in VolState}
        self.state = State(
            layout=self._plan.layout,
            words=np.zeros((0, self._plan.words)),
            values=np.zeros((0, len(self._plan.lines))),
            closes=np.zeros((0, self._plan.longest_window)),
        )

    def handle(self, message: Message) -> Sequence[Message | Effect]:
        """Raises ConfigError when the state was saved with other strategies, or a strategy fails: it names the line of its file."""
        state = self.state
        match message:
            case MarketSlice():
                state.slices[message.step] = message
            case RegimeStep():
                state.regimes[message.step] = message
            case _:
                return ()
        if message.step not in state.slices or message.step not in state.regimes:
            return ()
        return (self._answer(state.slices.pop(message.step), state.regimes.pop(message.step)),)

    def pending(self) -> Sequence[Effect]:
        return ()

    def _answer(self, market: MarketSlice, regime: RegimeStep) -> SignalsStep:
        if self.state.layout != self._plan.layout:
            raise ConfigError(
                f"signals: the saved state is of other strategies or features ({self.state.layout}); "
                f"expected {self._plan.layout}: restore those files, or start with a fresh state"
            )
        bars = [bar for bar in market.bars if bar.timeframe in self._timeframes]
        signals = (s for look in self._looks(bars, regime) for s in self._opinions(look)) if bars else ()
        return SignalsStep(ts_event=market.ts_event, book=market.book, step=market.step, signals=tuple(signals))

    def _looks(self, bars: Sequence[Bar], regime: RegimeStep) -> Iterator[_Look]:
        """Takes the bars in and looks at each."""
        state, prices = self.state, high_low_close(bars)
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
        for strategy, variants in zip(self._plan.strategies, self._plan.variants, strict=True):
            if strategy.timeframes is None or look.bar.timeframe in strategy.timeframes:
                track = look.series.tracks.setdefault(strategy.id, Track())
                said, said_in = direction_of(track.said), track.said_in
                reason = self._hear(look, strategy, variants.get(look.series.vol_state), track)
                track.said_in = look.series.vol_state
                changed = direction_of(track.said) is not said
                if changed or (track.said is not None and track.said_in is not said_in):
                    yield self._signal(look, strategy, track, reason)

    def _hear(self, look: _Look, strategy: Strategy, variant: Variant | None, track: Track) -> str:
        """The strategy's stand after this bar goes to `track`; returns why, when that is not in its opinion."""
        vol_state = look.series.vol_state
        if variant is None:
            silence(track)
            return f"does not trade in {vol_state} volatility"
        context = _context(look, strategy, variant)
        if context is None:
            silence(track)
            return f"its features for {vol_state} volatility are warming up"
        listen(track, _ask(strategy, context))
        return settle(track, self._conditions[vol_state], strategy.hold_bars)

    def _signal(self, look: _Look, strategy: Strategy, track: Track, reason: str) -> Signal:
        said, condition = track.said, self._conditions[track.said_in]
        return Signal(
            strategy_id=strategy.id,
            tier=strategy.tier,
            instrument_id=look.bar.instrument_id,
            timeframe=look.bar.timeframe,
            direction=direction_of(said),
            strength=said.strength if said else 0.0,
            confidence=said.confidence if said else 1.0,
            stop_fraction=(said.stop_fraction if said else None) or condition.stop_fraction,
            size_factor=condition.size_factor,
            vol_state=track.said_in,
            vol_ratio=look.reading.vol_ratio if look.reading else None,
            ref_px=look.bar.close,
            reason=reason or (said.reason if said else ""),
        )


def _context(look: _Look, strategy: Strategy, variant: Variant) -> Context | None:
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
        closes=look.closes[len(look.closes) - strategy.window :].copy() if strategy.window else _NO_CLOSES,
    )


def _ask(strategy: Strategy, context: Context) -> Opinion | None:
    try:
        return checked(strategy.decide(context))
    except Exception as error:
        where = f"{strategy.id} on {context.bar.instrument_id} {context.bar.timeframe}"
        raise ConfigError(f"{place(error, strategy.file)}: {where}: {type(error).__name__}: {error}") from error
