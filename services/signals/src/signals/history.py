"""Every signal on a whole series at once: what the core would have said bar by bar, to the bit.

A strategy with `directions` is asked by `decide` only where something is said; any other one on every bar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np

from common.errors import ConfigError
from common.isolation import place
from common.messages.market_data import Bar
from common.messages.regime import RegimeReading
from common.messages.signals import Signal
from common.model.enums import Direction, VolState
from common.model.time import Timeframe
from common.quant.kernel import Floats, Ints
from signals.api import NOTHING, Context, History, Opinion, checked
from signals.core import NO_CLOSES
from signals.kernel import BAR, HELD_OUT, NONE, NOT_HERE, STANDS, WARMING, Codes, adapt, follow
from signals.plan import Entry, Plan, Variant
from signals.series import Bars, Beside
from signals.settings import Settings
from signals.tracking import Spoken, held_out, longest_held, make_signal, not_here, warming

_STATES: Final = tuple(VolState)
_NAMES: Final = {**{direction.sign: direction.value for direction in Direction}, STANDS: "nothing (STANDS)"}
_PROBES: Final = 32


class StrategyFailed(Exception):  # noqa: N818  (it is what happened)
    """A strategy raised or answered nonsense: what follows from that is for the core to say, step by step."""


class Said(NamedTuple):
    """A signal, and the bar on which it is said."""

    bar: int
    signal: Signal


def look_back(
    bars: Bars,
    ts: Ints,
    vol_states: Codes,
    reading: Callable[[int], RegimeReading | None],
    plan: Plan,
    settings: Settings,
    beside: Mapping[Timeframe, Beside] = NOTHING,
) -> Iterator[Said]:
    """All signals on a series, in the order in which the core says them. `ts` are the closes of its bars, `vol_states` the
    reported ones on each as places in VolState, NORMAL where the regime is not read; `reading(i)` is that of bar `i`; `beside`
    are the timeframes of `plan.beside` that the instrument has.

    Raises StrategyFailed where a strategy fails; ConfigError where its `directions` are not those of its `decide`.
    """
    if not vol_states.size:
        return
    acting = adapt(vol_states, settings.worse_after, settings.calmer_after)
    looks = _Looks(bars, bars.features(ts, plan.lines), reading, beside)
    views = [_View(looks, acting, entry, settings) for entry in plan.on(bars.timeframe)]
    said = np.concatenate([np.empty((0, 4), np.int64), *(view.said for view in views)])
    speaker = np.repeat(np.arange(len(views)), [len(view.said) for view in views])
    order = np.argsort(said[:, BAR], kind="stable")
    for number, row in zip(speaker[order].tolist(), said[order].tolist(), strict=True):
        yield Said(row[BAR], views[number].signal(*row))


class _Look(NamedTuple):
    """One bar with all that is known of its series: the features of this bar and of the one before."""

    bar: Bar
    prev_close: float
    reading: RegimeReading | None
    now: list[float]
    before: list[float]


class _Looks:
    """A series with its features (float64[bars, features]), to be looked at bar by bar."""

    def __init__(
        self,
        bars: Bars,
        values: Floats,
        reading: Callable[[int], RegimeReading | None],
        beside: Mapping[Timeframe, Beside],
    ) -> None:
        self.bars, self.values, self.beside, self._reading = bars, values, beside, reading
        self._last = -1, _Look(bars.bar(0), 0.0, None, [], [])

    def at(self, i: int) -> _Look:
        """Bar `i`; the same one again costs nothing: several strategies speak on a bar."""
        if self._last[0] != i:
            close = float(self.bars.close[i - 1])
            values = self.values[i].tolist(), self.values[i - 1].tolist()
            self._last = i, _Look(self.bars.bar(i), close, self._reading(i), *values)
        return self._last[1]


class _View:
    """One strategy on one series; `said` are the rows of `kernel.follow`."""

    def __init__(self, looks: _Looks, acting: Codes, entry: Entry, settings: Settings) -> None:
        self._looks, self._acting, self._entry, self._strategy = looks, acting, entry, entry.strategy
        self._conditions = [settings.condition(state) for state in _STATES]
        self._longest = [longest_held(entry.strategy.hold_bars, condition) for condition in self._conditions]
        self._words = np.full(acting.size, NOT_HERE, np.int8)
        self._beside: dict[VolState, Mapping[Timeframe, Mapping[str, Floats]]] = {}
        for number, state in enumerate(_STATES):
            here = acting == number
            if state in entry.variants and here.any():
                variant = entry.variants[state]
                self._beside[state] = {
                    timeframe: looks.beside[timeframe].columns(variant)
                    for timeframe in entry.strategy.beside
                    if timeframe in looks.beside
                }
                self._listen(here, variant, self._beside[state])
        confirmations = np.array([condition.confirmations for condition in self._conditions], np.int64)
        self.said = follow(self._words, acting, confirmations, np.array(self._longest, np.int64))

    def signal(self, i: int, of: int, latest: int, why: int) -> Signal:
        """What a row of `said` stands for."""
        opinion = None if of == NONE else self._opinion(of)
        reason = "" if opinion else self._why(i, latest, why)
        look, state = self._looks.at(i), self._acting[i]
        ratio = look.reading.vol_ratio if look.reading else None
        spoken = Spoken(look.bar.instrument_id, look.bar.timeframe, look.bar.close, ratio)
        return make_signal(spoken, self._strategy, opinion, _STATES[state], self._conditions[state], reason)

    def _why(self, i: int, latest: int, why: int) -> str:
        """Why the strategy is flat from bar `i` on."""
        state = self._acting[i]
        if why == NOT_HERE:
            return not_here(_STATES[state])
        if why == WARMING:
            return warming(_STATES[state])
        if why == HELD_OUT:
            return held_out(self._longest[state])
        opinion = None if latest == NONE else self._opinion(latest)
        return opinion.reason if opinion else ""

    def _listen(self, here: Codes, variant: Variant, beside: Mapping[Timeframe, Mapping[str, Floats]]) -> None:
        """Takes in the words of the bars on which the strategy acts with this variant."""
        history = self._history(variant, beside)
        asked = here & self._known(history)
        self._words[here] = WARMING
        if self._strategy.directions is None:
            for i in np.flatnonzero(asked).tolist():
                self._words[i] = _word(self._decide(i))
            return
        self._words[asked] = self._directions(history)[asked]
        where = np.flatnonzero(asked)
        for i in where[:: max(1, where.size // _PROBES)].tolist():
            self._opinion(i)

    def _history(self, variant: Variant, beside: Mapping[Timeframe, Mapping[str, Floats]]) -> History:
        bars, values = self._looks.bars, self._looks.values
        now = {name: values[:, column] for name, column in variant.columns}
        return History(
            open=bars.open,
            high=bars.high,
            low=bars.low,
            close=bars.close,
            volume=bars.volume,
            prev_close=_shifted(bars.close),
            now=now,
            before={name: _shifted(values) for name, values in now.items()},
            params=variant.params,
            beside=beside,
        )

    def _known(self, history: History) -> Codes:
        """bool[bars]: whether the strategy is asked, as far as features and warm-up go."""
        strategy, count = self._strategy, self._acting.size
        known = sum(history.now.values(), np.zeros(count)) + sum(history.before.values(), np.zeros(count))
        seen = np.arange(1, count + 1) >= max(strategy.window, strategy.warmup + 1, 2)
        asked: Codes = seen & (known == known)
        return asked

    def _directions(self, history: History) -> Codes:
        file, speak = self._entry.file, self._strategy.directions
        assert speak is not None
        try:
            found = np.asarray(speak(history))
        except Exception as error:
            raise ConfigError(f"{place(error, file)}: directions: {type(error).__name__}: {error}") from error
        expected = f"expected int8[{self._acting.size}] of +1, -1, 0 and STANDS"
        if found.shape != self._acting.shape or found.dtype != np.int8:
            raise ConfigError(f"{file}: directions: {found.dtype}{list(found.shape)}; {expected}")
        if found.min() < -1 or found.max() > STANDS:
            raise ConfigError(f"{file}: directions: values from {found.min()} to {found.max()}; {expected}")
        return found

    def _opinion(self, i: int) -> Opinion | None:
        """What `decide` says on bar `i`, which is what is known of it already."""
        opinion, expected = self._decide(i), int(self._words[i])
        if _word(opinion) != expected:
            if self._strategy.directions is None:
                raise StrategyFailed(f"{self._strategy.id} answers differently when asked again")
            bars = self._looks.bars
            raise ConfigError(
                f"{self._entry.file}: bar {i} of {bars.instrument_id} {bars.timeframe}: directions say {_NAMES[expected]}, "
                f"decide says {_NAMES[_word(opinion)]}; expected the same"
            )
        return opinion

    def _decide(self, i: int) -> Opinion | None:
        state = _STATES[self._acting[i]]
        look, variant = self._looks.at(i), self._entry.variants[state]
        strategy, closes = self._strategy, self._looks.bars.close
        context = Context(
            bar=look.bar,
            prev_close=look.prev_close,
            now={name: look.now[column] for name, column in variant.columns},
            before={name: look.before[column] for name, column in variant.columns},
            params=variant.params,
            regime=look.reading,
            closes=closes[i + 1 - strategy.window : i + 1].copy() if strategy.window else NO_CLOSES,
            beside=_seen(self._beside[state], i) if strategy.beside else NOTHING,
        )
        try:
            return checked(strategy.decide(context))
        except MemoryError:
            raise
        except Exception as error:
            raise StrategyFailed(strategy.id) from error


def _seen(beside: Mapping[Timeframe, Mapping[str, Floats]], i: int) -> dict[Timeframe, dict[str, float]]:
    """What `decide` finds beside bar `i`."""
    found: dict[Timeframe, dict[str, float]] = {}
    for timeframe, columns in beside.items():
        numbers = {name: float(values[i]) for name, values in columns.items()}
        if known := {name: number for name, number in numbers.items() if number == number}:
            found[timeframe] = known
    return found


def _word(opinion: Opinion | None) -> int:
    return STANDS if opinion is None else opinion.direction.sign


def _shifted(values: Floats) -> Floats:
    """Of each bar the value one bar before; NaN on the first."""
    before = np.empty_like(values)
    before[:1], before[1:] = np.nan, values[:-1]
    return before
