"""What a set of strategies needs computed, worked out once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from common.model.enums import VolState
from common.quant.kernel import Ints
from signals.api import Params, Strategy
from signals.features import Feature, table


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
    return Plan(
        entries=entries,
        lines=table(features),
        words=sum(feature.words for feature in features),
        longest_window=max((1, *(strategy.window for strategy in strategies))),
        layout=" ".join((*(strategy.id for strategy in strategies), *map(str, features))),
    )


def _variant(strategy: Strategy, params: Params, columns: dict[Feature, int]) -> Variant:
    named = strategy.features(params)
    return Variant(params, tuple((name, columns.setdefault(feature, len(columns))) for name, feature in named.items()))
