"""Says what kind of market each instrument is in, on every closed bar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.core import Effect
from common.messages.base import Message
from common.messages.market_data import Bar, MarketSlice
from common.messages.regime import RegimeReading, RegimeStep
from common.model.time import NS_PER_MINUTE
from common.quant.rows import high_low_close, row_numbers, with_rows
from regime.holding import Holding, observe
from regime.kernel import COLUMNS, advance, periods, width
from regime.reading import make_reading
from regime.rules import REGIMES, VOL_STATES, thresholds, verdicts
from regime.settings import Settings
from regime.state import State


class RegimeDetector:
    """Answers each slice with one step: a reading for every bar of an evaluated timeframe, in slice order."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeframes = frozenset(settings.timeframes)
        self._periods = periods(settings)
        self._thresholds = thresholds(settings)
        self._hold_ns = settings.hold_minutes * NS_PER_MINUTE
        self.state = State(indicators=np.zeros((0, width(settings))))

    def handle(self, message: Message) -> Sequence[Message | Effect]:
        """Only slices are answered: instruments make themselves known by their first bar."""
        if not isinstance(message, MarketSlice):
            return ()
        bars = [bar for bar in message.bars if bar.timeframe in self._timeframes]
        readings = self._read(bars, message.ts_event) if bars else ()
        return (RegimeStep(ts_event=message.ts_event, book=message.book, step=message.step, readings=readings),)

    def pending(self) -> Sequence[Effect]:
        return ()

    def _read(self, bars: Sequence[Bar], ts_event: int) -> tuple[RegimeReading, ...]:
        state, out = self.state, np.empty((len(bars), COLUMNS))
        rows = row_numbers(state.rows, bars)
        state.indicators = with_rows(state.indicators, len(state.rows))
        while len(state.holdings) < len(state.rows):
            state.holdings.append(Holding(since_ns=ts_event, pending_ns=ts_event))
        prices = high_low_close(bars)
        advance(state.indicators, rows, prices, self._periods, self._settings.bb_deviations, out)
        judged = verdicts(out, prices, self._thresholds)
        return tuple(
            self._reading(bar, state.holdings[row], values, verdict, ts_event)
            for bar, row, values, verdict in zip(bars, rows.tolist(), out.tolist(), judged.tolist(), strict=True)
        )

    def _reading(
        self, bar: Bar, holding: Holding, values: list[float], verdict: list[float], ts_event: int
    ) -> RegimeReading:
        candidate = REGIMES[int(verdict[0])]
        observe(holding, candidate, ts_event, self._hold_ns)
        return make_reading(
            bar.instrument_id,
            bar.timeframe,
            values,
            regime=holding.stable,
            candidate=candidate,
            since_ns=holding.since_ns,
            confidence=verdict[1],
            vol_state=VOL_STATES[int(verdict[2])],
        )
