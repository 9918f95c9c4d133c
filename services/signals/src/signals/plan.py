"""What a set of strategies needs computed, worked out once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from common.model.enums import VolState
from common.model.time import Timeframe
from common.quant.kernel import Ints
from signals.api import Params, Strategy
from signals.features import Feature, table, words_of


class Variant(NamedTuple):
    """A strategy's parameters in one volatility state, and the columns of the features it named."""

    params: Params
    columns: tuple[tuple[str, int], ...]


class Entry(NamedTuple):
    """A strategy with its variants; `feature` is its name where it fails alone, `file` where it was written."""

    strategy: Strategy
    variants: Mapping[VolState, Variant]
    feature: str
    file: str


class Plan(NamedTuple):
    """`layout` changes when saved state would not fit."""

    entries: tuple[Entry, ...]
    lines: Ints
    words: int
    longest_window: int
    layout: str

    def on(self, timeframe: Timeframe) -> tuple[Entry, ...]:
        """The strategies that run on a timeframe, if it is one of those of the settings."""
        return tuple(entry for entry in self.entries if entry.strategy.runs_on(timeframe))

    def beside(self, timeframe: Timeframe) -> tuple[Timeframe, ...]:
        """The other timeframes that they look at, in the order of timeframes."""
        named = {other for entry in self.on(timeframe) for other in entry.strategy.beside}
        return tuple(other for other in Timeframe if other in named)


def make_plan(strategies: Sequence[Strategy]) -> Plan:
    """All features of all volatility states, each computed once, so that a switch of state finds them warm."""
    columns: dict[Feature, int] = {}
    entries = tuple(
        Entry(
            strategy,
            {state: _variant(strategy, params, columns) for state, params in strategy.params.items()},
            f"strategy:{strategy.id}",
            strategy.file,
        )
        for strategy in strategies
    )
    features = tuple(columns)
    lines = table(features)
    return Plan(
        entries=entries,
        lines=lines,
        words=words_of(lines),
        longest_window=max((1, *(strategy.window for strategy in strategies))),
        layout=" ".join((*(strategy.id for strategy in strategies), *map(str, features), f"{words_of(lines)} words")),
    )


def _variant(strategy: Strategy, params: Params, columns: dict[Feature, int]) -> Variant:
    named = strategy.features(params)
    return Variant(params, tuple((name, columns.setdefault(feature, len(columns))) for name, feature in named.items()))
