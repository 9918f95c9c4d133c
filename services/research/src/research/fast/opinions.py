"""All that regime and signals say in a run, worked out over arrays: neither depends on the portfolio.

The messages are those of the cores, to the bit; what is said when takes compiled loops, what is said is written by the very
functions that the cores call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.messages.regime import RegimeReading
from common.messages.signals import Signal
from common.model.time import Timeframe
from common.quant.kernel import Floats, Ints
from common.runtime.settings import section
from regime.history import History
from regime.history import look_back as judge_all
from regime.market import crisis_by_slice
from regime.settings import Settings as RegimeSettings
from research.fast.market import Market
from research.fast.market import Series as MarketSeries
from signals.api import Strategy
from signals.history import StrategyFailed
from signals.history import look_back as signals_of
from signals.loader import load_strategies
from signals.plan import Plan, make_plan
from signals.series import Bars, Beside
from signals.settings import Settings as SignalsSettings


class Series(NamedTuple):
    """Bars, and the indexes of the slices in which they close, int64 and rising."""

    step: Ints
    bars: Bars


class _Read(NamedTuple):
    """A series with its verdicts."""

    instrument_id: str
    timeframe: Timeframe
    step: Ints
    history: History

    def reading(self, row: int) -> RegimeReading:
        return self.history.reading(row, self.instrument_id, self.timeframe)


class _Places(NamedTuple):
    """Which readings stand in which slice: of slice i those from `first[i]` to before `first[i + 1]`, each by the number of
    its series and its row in there.
    """

    first: Ints
    number: NDArray[np.int32]
    row: NDArray[np.int32]


class Opinions:
    """What `RegimeStep` and `SignalsStep` of each slice hold; slices by their index, one less than their `step`.

    About 110 bytes per bar of the timeframes that are read.
    """

    def __init__(self, slices: int, signals: dict[int, tuple[Signal, ...]], read: Sequence[_Read]) -> None:
        self.steps: Ints = np.fromiter(signals, np.int64, len(signals))  # slices with at least one signal, rising
        self._signals = signals
        self._slices = slices
        self._read = read

    def signals(self, index: int) -> tuple[Signal, ...]:
        """In the order of the message; mostly none."""
        return self._signals.get(index, ())

    def readings(self, index: int) -> tuple[RegimeReading, ...]:
        """Of the timeframes that are read, in the order of the message."""
        first, number, row = self._places
        start, stop = first[index : index + 2].tolist()
        return tuple(
            self._read[i].reading(j) for i, j in zip(number[start:stop].tolist(), row[start:stop].tolist(), strict=True)
        )

    def latest(self, index: int) -> tuple[RegimeReading, ...]:
        """Of each series that is read, the last reading up to and including slice `index`, in the order of series."""
        rows = (int(np.searchsorted(of.step, index, side="right")) - 1 for of in self._read)
        return tuple(of.reading(row) for of, row in zip(self._read, rows, strict=True) if row >= 0)

    @cached_property
    def _places(self) -> _Places:
        steps = np.concatenate([np.empty(0, np.int64), *(of.step for of in self._read)])
        order = np.argsort(steps, kind="stable")  # stable: series stay in order, and rising runs are merged fast
        number = np.repeat(np.arange(len(self._read), dtype=np.int32), [of.step.size for of in self._read])
        row = np.concatenate([np.empty(0, np.int32), *(np.arange(of.step.size, dtype=np.int32) for of in self._read)])
        first = np.searchsorted(steps[order], np.arange(self._slices + 1))
        return _Places(first, number[order], row[order])


def load_opinions(
    config: Mapping[str, Any], market: Market, *, timeframes: Iterable[Timeframe] | None = None
) -> Opinions | None:
    """The opinions on `market` with sections `[regime]` and `[signals]` of `config`; `form_opinions` says the rest."""
    settings = section(config, "signals", SignalsSettings)
    return form_opinions(
        market.ts,
        [_of_market(one) for one in market.contents.series],
        section(config, "regime", RegimeSettings),
        settings,
        load_strategies(settings),
        timeframes=timeframes,
    )


def form_opinions(
    ts: Ints,
    series: Sequence[Series],
    regime: RegimeSettings,
    signals: SignalsSettings,
    strategies: Sequence[Strategy],
    *,
    timeframes: Iterable[Timeframe] | None = None,
) -> Opinions | None:
    """The opinions on `series`, which are in the order of a slice's bars; `ts` are the closes of the slices.

    Readings are of the timeframes that strategies run on, or of `timeframes`, as far as the regime service reads them. None
    where a strategy fails on any bar: counting its failures and switching it off is the core's business. Raises ConfigError
    where a strategy's `directions` contradict its `decide`.
    """
    shown = frozenset(signals.timeframes if timeframes is None else timeframes)
    wanted = shown | frozenset(signals.timeframes)
    crisis = crisis_by_slice(ts, [_base(one) for one in series if one.bars.base], regime)
    read: dict[int, _Read] = {
        number: _Read(one.bars.instrument_id, one.bars.timeframe, one.step, _verdicts(one, ts, regime, crisis))
        for number, one in enumerate(series)
        if one.bars.timeframe in wanted and one.bars.timeframe in regime.timeframes
    }
    try:
        said = _said(ts, series, read, signals, strategies)
    except StrategyFailed:
        return None
    return Opinions(len(ts), said, [of for of in read.values() if of.timeframe in shown])


def _base(one: Series) -> tuple[str, Ints, Floats]:
    return one.bars.instrument_id, one.step, one.bars.prices()


def _verdicts(one: Series, ts: Ints, settings: RegimeSettings, crisis: Floats | None) -> History:
    return judge_all(one.bars.prices(), ts[one.step], settings, None if crisis is None else crisis[one.step])


def _said(
    ts: Ints,
    series: Sequence[Series],
    read: Mapping[int, _Read],
    settings: SignalsSettings,
    strategies: Sequence[Strategy],
) -> dict[int, tuple[Signal, ...]]:
    """Signals by slice: within one by series, then by strategy, as the core says them."""
    plan, by_step = make_plan(strategies), dict[int, list[Signal]]()
    for number, one in enumerate(series):
        if one.bars.timeframe in settings.timeframes:
            of, steps = read.get(number), one.step.tolist()
            vol_states = of.history.vol_states if of else np.zeros(one.step.size, np.int8)
            closes, beside = ts[one.step], _beside(one, series, ts, plan)
            for said in signals_of(one.bars, closes, vol_states, _reader(of), plan, settings, beside):
                by_step.setdefault(steps[said.bar], []).append(said.signal)
    return {step: tuple(by_step[step]) for step in sorted(by_step)}


def _beside(of: Series, series: Sequence[Series], ts: Ints, plan: Plan) -> dict[Timeframe, Beside]:
    """The other timeframes of the same instrument that strategies on this one look at."""
    wanted = plan.beside(of.bars.timeframe)
    return {
        one.bars.timeframe: Beside(
            one.bars.features(ts[one.step], plan.lines), np.searchsorted(one.step, of.step, side="right") - 1
        )
        for one in series
        if one.bars.timeframe in wanted and one.bars.instrument_id == of.bars.instrument_id and one.step.size
    }


def _reader(of: _Read | None) -> Callable[[int], RegimeReading | None]:
    if of is None:
        return lambda row: None
    return of.reading


def _of_market(one: MarketSeries) -> Series:
    bars = one.bars
    prices = bars.open, bars.high, bars.low, bars.close, bars.volume, bars.spread_open, bars.spread_close
    return Series(bars.step, Bars(one.instrument_id, one.timeframe, one.is_base, *prices))
