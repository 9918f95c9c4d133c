"""From which bar on signals do not depend on where the data began (RES-01).

The same market from several later instants. Opinions (direction by strategy, instrument and timeframe, after confirmation) are
compared with those of the whole span, bar by bar. For this question the framework's own long memories are out of the way: no
adaptation to volatility, and holding times ten times as long; `as_configured` has them back. Two lengths say what to expect:

- `declared`: bars until a strategy is first asked;
- `remembered`: on top of that twice its (tenfold) holding time, since an opinion stands so long, and one taken while it
  stands as long again; and, for Ema, Atr, Adx and Macd, which never quite forget the first price, five times the longest
  period (its weight is then e^-10 for an Ema).

More than one bar in a thousand that differs is no tie any more. (Ties there are: a running sum is rounded differently by where
its window began.) Verdicts: `ok` when opinions agree after `declared`, `slow` after `remembered`, `late` otherwise, `unknown`
where the data is too short to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.core import Core
from common.errors import DataError
from common.lockstep import Lockstep
from common.messages.market_data import MarketSlice
from common.messages.signals import SignalsStep
from common.model.enums import Direction
from common.model.time import NS_PER_SECOND, Timeframe, iso
from common.quant.kernel import Floats, Ints
from common.runtime.settings import section
from market_data.source import source
from regime.core import RegimeDetector
from regime.settings import Settings as RegimeSettings
from research.backtest import answer
from research.overrides import with_values
from research.truth.course import Config
from signals.api import Strategy
from signals.core import Signals
from signals.features import Feature, compute, table
from signals.loader import load_strategies
from signals.settings import Settings as SignalsSettings

_UNBOUNDED: Final = ("Ema", "Atr", "Adx", "Macd", "MacdSignal")
_LAST_START: Final = 0.5  # of the span
_FADES_AFTER: Final = 5  # periods
_TIES: Final = 0.001  # bars on which opinions may differ
_HOLDING: Final = 10  # times the strategy's own
_WITHOUT_MEMORY: Final = {
    "regime.vol_elevated": 19.0,
    "regime.vol_stress": 20.0,
    "signals.normal.hold_factor": float(_HOLDING),
}
Said = Callable[[int, str], None]
Key = tuple[str, str, Timeframe]  # strategy, instrument, timeframe


class Settling(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy on a timeframe, over all instruments and starts. `last_difference` counts bars from the start to the last one
    on which opinions differ, 0 for none. The shares are of bars after so many, None where there are none.
    """

    strategy: str
    timeframe: Timeframe
    declared: int
    remembered: int
    last_difference: int
    differing_after_declared: float | None
    differing_after_remembered: float | None
    forgets: bool  # no feature of it weighs the first price for ever

    @property
    def verdict(self) -> str:
        shares = self.differing_after_declared, self.differing_after_remembered
        for verdict, share in zip(("ok", "slow"), shares, strict=True):
            if share is None:
                return "unknown"
            if share <= _TIES:
                return verdict
        return "late"


class Opinions(msgspec.Struct):
    """Changes of opinion by series, FLAT before the first; and the closes of its bars by (instrument, timeframe)."""

    changes: dict[Key, list[tuple[int, Direction]]] = msgspec.field(default_factory=dict)
    bars: dict[tuple[str, Timeframe], list[int]] = msgspec.field(default_factory=dict)


def warmup(
    config: Config, *, starts: int = 3, as_configured: bool = False, said: Said | None = None
) -> tuple[Settling, ...]:
    """By strategy and timeframe, over `starts` later starts in the first half of the data. Raises DataError for too little."""
    config = config if as_configured else with_values(config, _WITHOUT_MEMORY)
    settings = section(config, "signals", SignalsSettings)
    strategies = load_strategies(settings)
    whole = opinions(config, strategies)
    _tell(said, 1, "the whole span")
    instants = np.unique(np.concatenate([np.array(closes) for closes in whole.bars.values()]))
    if instants.size < 4 * starts:
        raise DataError(f"{instants.size} bars: expected at least {4 * starts} for {starts} later starts")
    later = []
    for number in range(1, starts + 1):
        begin = int(instants[int(instants.size * _LAST_START * number / starts)])
        later.append(opinions(with_values(config, {"run.start_ns": begin}), strategies))
        _tell(said, 1 + number, f"from {iso(begin)[:10]}")
    return tuple(
        _settling(strategy, timeframe, whole, later)
        for strategy in strategies
        for timeframe in settings.timeframes
        if strategy.timeframes is None or timeframe in strategy.timeframes
    )


def opinions(config: Config, strategies: Sequence[Strategy]) -> Opinions:
    """What regime and signals say of the data, without a book."""
    settings, found = section(config, "signals", SignalsSettings), Opinions()
    made: dict[str, Core] = {
        "regime": RegimeDetector(section(config, "regime", RegimeSettings)),
        "signals": Signals(settings, strategies),
    }
    for message in Lockstep(made, answer).run(source(config).messages()):
        if isinstance(message, MarketSlice):
            for bar in message.bars:
                if bar.timeframe in settings.timeframes:
                    found.bars.setdefault((bar.instrument_id, bar.timeframe), []).append(message.ts_event)
        elif isinstance(message, SignalsStep):
            for signal in message.signals:
                key = signal.strategy_id, signal.instrument_id, signal.timeframe
                found.changes.setdefault(key, []).append((message.ts_event, signal.direction))
    return found


def declared(strategy: Strategy, timeframe: Timeframe = Timeframe.D1) -> int:
    """Bars until it is first asked, in the volatility state in which that takes longest."""
    longest = max(_warm_after([*strategy.features(params).values()], timeframe) for params in strategy.params.values())
    return max(longest + 1, strategy.window, strategy.warmup + 1, 2)


def remembered(strategy: Strategy, timeframe: Timeframe = Timeframe.D1) -> int:
    """Bars after which it has forgotten where the data began: see the module."""
    fading = [max(f.periods) for f in _features(strategy) if f.name in _UNBOUNDED]
    return declared(strategy, timeframe) + 2 * _HOLDING * strategy.hold_bars + _FADES_AFTER * max(fading, default=0)


def _warm_after(named: Sequence[Feature], timeframe: Timeframe) -> int:
    """Bars until every feature is a number."""
    if not named:
        return 1
    lines, length = table(named), 10 + 5 * sum(max(feature.periods) for feature in named)
    while True:
        warm = np.flatnonzero(np.isfinite(_made_up(lines, length, timeframe)).all(axis=1))
        if warm.size:
            return int(warm[0]) + 1
        length *= 2


def _made_up(lines: Ints, length: int, timeframe: Timeframe) -> Floats:
    close = 100.0 + np.sin(np.arange(length))
    seconds = np.arange(1.0, length + 1.0) * (timeframe.ns // NS_PER_SECOND)
    return compute(lines, np.column_stack((close + 1.0, close - 1.0, close, np.ones(length), seconds)))


def _settling(strategy: Strategy, timeframe: Timeframe, whole: Opinions, later: Sequence[Opinions]) -> Settling:
    bars: list[NDArray[np.bool_]] = []
    for one in later:
        for (instrument, of), closes in one.bars.items():
            if of is timeframe:
                key, ts = (strategy.id, instrument, timeframe), np.array(closes, dtype=np.int64)
                bars.append(_standing(whole.changes.get(key, ()), ts) != _standing(one.changes.get(key, ()), ts))
    first, memory = declared(strategy, timeframe), remembered(strategy, timeframe)
    return Settling(
        strategy=strategy.id,
        timeframe=timeframe,
        declared=first,
        remembered=memory,
        last_difference=max((int(np.flatnonzero(differ)[-1]) + 1 for differ in bars if differ.any()), default=0),
        differing_after_declared=_share_after(bars, first),
        differing_after_remembered=_share_after(bars, memory),
        forgets=not any(feature.name in _UNBOUNDED for feature in _features(strategy)),
    )


def _share_after(bars: Sequence[NDArray[np.bool_]], count: int) -> float | None:
    rest = [differ[count:] for differ in bars]
    total = sum(differ.size for differ in rest)
    return sum(int(differ.sum()) for differ in rest) / total if total else None


def _features(strategy: Strategy) -> Iterator[Feature]:
    for params in strategy.params.values():
        yield from strategy.features(params).values()


def _standing(changes: Sequence[tuple[int, Direction]], ts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The opinion in force at each of `ts`, as a number."""
    codes: Mapping[Direction, int] = {direction: code for code, direction in enumerate(Direction)}
    when = np.array([at for at, _ in changes], dtype=np.int64)
    what = np.array([codes[Direction.FLAT], *(codes[direction] for _, direction in changes)])
    return np.asarray(what[np.searchsorted(when, ts, side="right")])


def _tell(said: Said | None, done: int, what: str) -> None:
    if said is not None:
        said(done, what)
