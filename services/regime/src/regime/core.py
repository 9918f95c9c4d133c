"""Says what kind of market each instrument is in, on every closed bar, and how the market as a whole is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from common.core import Effect
from common.messages.base import Message
from common.messages.control import InstrumentsDefined
from common.messages.market_data import Bar, MarketSlice
from common.messages.regime import OverrideRegime, RegimeReading, RegimeStep
from common.model.time import NS_PER_MINUTE
from common.quant.rows import high_low_close, row_numbers, with_rows
from regime.holding import Holding, observe
from regime.kernel import COLUMNS, advance, periods, width
from regime.market import fresh
from regime.market import observe as observe_market
from regime.market_kernel import parameters
from regime.model_kernel import MODEL_STATE
from regime.models import Models
from regime.opinions import Opinionated
from regime.overrides import Override, expire, obey, override_of
from regime.reading import make_reading
from regime.rules import CRISIS, REGIMES, VOL_STATES, thresholds, verdicts
from regime.settings import Settings
from regime.state import State


class RegimeDetector:
    """Answers each slice with one step: a reading for every bar of an evaluated timeframe, in slice order, what the `models` say of
    those that have one, and the market as a whole. A command to override is answered by what it changed.
    """

    def __init__(self, settings: Settings, models: Models | None = None) -> None:
        self._settings = settings
        self._timeframes = frozenset(settings.timeframes)
        self._periods = periods(settings)
        self._thresholds = thresholds(settings)
        self._market = parameters(settings)
        self._models = Opinionated(models or Models())
        self._hold_ns = settings.hold_minutes * NS_PER_MINUTE
        self.state = State(
            indicators=np.zeros((0, width(settings))), opinions=np.zeros((0, MODEL_STATE)), market=fresh(settings)
        )

    def handle(self, message: Message) -> Sequence[Message | Effect]:
        """Slices and overrides are answered; instruments make themselves known by their first bar."""
        match message:
            case MarketSlice():
                return self._answer(message)
            case OverrideRegime():
                return obey(self.state.overrides, message)
            case InstrumentsDefined():
                self.state.overrides.known = tuple(one.instrument_id for one in message.instruments)
        return ()

    def pending(self) -> Sequence[Effect]:
        return ()

    def _answer(self, slice_: MarketSlice) -> Sequence[Message]:
        state, ts_event = self.state, slice_.ts_event
        expired = expire(state.overrides, ts_event, slice_.book)
        market = observe_market(state.market, slice_.bars, ts_event, self._market, self._settings)
        bars = [bar for bar in slice_.bars if bar.timeframe in self._timeframes]
        rows = row_numbers(state.rows, bars)
        state.opinions = with_rows(state.opinions, len(state.rows) if self._models else 0)
        step = RegimeStep(
            ts_event=ts_event,
            book=slice_.book,
            step=slice_.step,
            readings=self._read(bars, rows, ts_event) if bars else (),
            models=self._models.read(state.opinions, bars, rows, ts_event) if bars and self._models else (),
            market=market,
        )
        return (*expired, step)

    def _read(self, bars: Sequence[Bar], rows: np.ndarray, ts_event: int) -> tuple[RegimeReading, ...]:
        state, out = self.state, np.empty((len(bars), COLUMNS))
        state.indicators = with_rows(state.indicators, len(state.rows))
        while len(state.holdings) < len(state.rows):
            state.holdings.append(Holding(since_ns=ts_event, pending_ns=ts_event))
        prices = high_low_close(bars)
        advance(state.indicators, rows, prices, self._periods, self._settings.bb_deviations, out)
        judged = verdicts(out, prices, self._thresholds)
        if state.market.crisis > 0.0:
            judged[:, 0], judged[:, 1] = CRISIS, state.market.crisis
        return tuple(
            self._reading(bar, state.holdings[row], values, verdict, ts_event)
            for bar, row, values, verdict in zip(bars, rows.tolist(), out.tolist(), judged.tolist(), strict=True)
        )

    def _reading(
        self, bar: Bar, holding: Holding, values: list[float], verdict: list[float], ts_event: int
    ) -> RegimeReading:
        candidate = REGIMES[int(verdict[0])]
        observe(holding, candidate, ts_event, self._hold_ns)
        by_hand: Override | None = override_of(self.state.overrides, bar.instrument_id)
        return make_reading(
            bar.instrument_id,
            bar.timeframe,
            values,
            regime=by_hand.regime if by_hand else holding.stable,
            candidate=candidate,
            since_ns=by_hand.since_ns if by_hand else holding.since_ns,
            confidence=verdict[1],
            vol_state=VOL_STATES[int(verdict[2])],
            override=by_hand.author if by_hand else "",
        )
