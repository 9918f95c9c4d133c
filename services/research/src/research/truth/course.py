"""The messages of a run as something to compare: what decides, up to when, and where two runs part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
import numpy as np

from common.messages.base import Message
from common.messages.control import FeatureChanged, RunStarted
from common.messages.market_data import MarketDataEnded, MarketSlice, RowsQuarantined
from common.messages.orders import (
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
)
from common.messages.portfolio import PortfolioStep
from common.messages.risk import LadderChanged, ResumeTrading, ScopeHalted, TradingStateChanged
from common.messages.signals import SignalsStep
from market_data.feeds.column_feed import ColumnFeed
from market_data.source import source
from research.backtest import backtest
from research.overrides import with_values
from research.run import run

Config: TypeAlias = Mapping[str, Any]

LONGEST: Final = 400  # of a message in words
_FROM_OUTSIDE: Final = (MarketSlice, RowsQuarantined, ResumeTrading)
_ABOUT_THE_RUN: Final = (RunStarted, MarketDataEnded)
_ALWAYS: Final = frozenset(
    {
        OrderApproved,
        OrderDenied,
        OrderSubmitted,
        OrderAccepted,
        OrderRejected,
        OrderFilled,
        OrderCanceled,
        OrderExpired,
        LadderChanged,
        TradingStateChanged,
        ScopeHalted,
        FeatureChanged,
    }
)


class Heard(NamedTuple):
    """A message, and when the world outside last spoke before it was said."""

    at: int
    message: Message


Engine: TypeAlias = Callable[[Config, int | None, int | None], list[Heard]]  # resume after days, until when


class Parting(msgspec.Struct, frozen=True, kw_only=True):
    """Where two runs part: the messages at the first place that differs, empty where a run says nothing there any more.
    `strategies` are those whose signals differ anywhere in what was compared.
    """

    ts: int
    place: int
    stage: str
    one: str
    other: str
    strategies: tuple[str, ...]


def decides(message: Message) -> bool:
    """Whether somebody trades differently for it: opinions, targets, orders, what became of them, what is forbidden."""
    if isinstance(message, SignalsStep):
        return bool(message.signals)
    if isinstance(message, PortfolioStep):
        return bool(message.targets or message.orders)
    return type(message) in _ALWAYS


def heard(messages: Iterable[Message], until: int | None = None) -> Iterator[Heard]:
    """What was said before anything later than `until` (None: the end of the data) came in from outside; without the words
    about the run itself, which name its data.
    """
    at = -1
    for message in messages:
        if isinstance(message, _FROM_OUTSIDE):
            at = message.ts_event
            if until is not None and at > until:
                return
        if isinstance(message, MarketDataEnded) and until is not None:
            return
        if not isinstance(message, _ABOUT_THE_RUN):
            yield Heard(at, message)


def parting(one: Sequence[Heard], other: Sequence[Heard]) -> Parting | None:
    """The first place at which they differ; None where they are equal."""
    for place, (a, b) in enumerate(zip_longest(one, other)):
        if a != b:
            first = a or b
            assert first is not None
            return Parting(
                ts=min(said.at for said in (a, b) if said is not None),
                place=place,
                stage=first.message.TYPE,
                one=in_words(a.message if a else None),
                other=in_words(b.message if b else None),
                strategies=_differing(one, other),
            )
    return None


def in_words(message: Message | None) -> str:
    """A line; a step's empty parts and more than can be read left out."""
    if message is None:
        return ""
    if isinstance(message, SignalsStep):
        said = ", ".join(
            f"{s.strategy_id} {s.instrument_id} {s.timeframe} {s.direction} ({s.reason})" for s in message.signals
        )
        return f"signals: {said or 'none'}"[:LONGEST]
    return repr(message)[:LONGEST]


def plain(config: Config, resume_after_days: int | None, until: int | None) -> list[Heard]:
    """Everything that is said, message by message."""
    return [*heard(backtest(config, resume_after_days=resume_after_days), until)]


def default(config: Config, resume_after_days: int | None, until: int | None) -> list[Heard]:
    """What decides, by the engine that `ballast backtest` uses; of slices at which nothing happens it may say nothing."""
    said: list[Heard] = []
    at = -1

    def watch(message: Message) -> None:
        nonlocal at
        if isinstance(message, _FROM_OUTSIDE):
            at = message.ts_event
            if until is not None and at > until:
                raise _EnoughError
        if decides(message):
            said.append(Heard(at, message))

    with suppress(_EnoughError):
        run(config, resume_after_days=resume_after_days, watchers=[watch])
    return said


ENGINES: Final[dict[str, Engine]] = {"plain": plain, "default": default}


def recent(config: Config, slices: int) -> dict[str, Any]:
    """The configuration for the last `slices` instants of its data at which base bars close. Raises DataError."""
    feed = source(config).feed
    assert isinstance(feed, ColumnFeed)
    instants = np.unique(np.concatenate([rows.arrival for rows in feed.rows]))
    if instants.size <= slices:
        return with_values(config, {})
    return with_values(config, {"run.start_ns": int(instants[-slices - 1])})


class _EnoughError(Exception):
    """All that is wanted of a run has been said."""


def _differing(one: Sequence[Heard], other: Sequence[Heard]) -> tuple[str, ...]:
    spoken = [
        {
            (at, signal.instrument_id, signal.timeframe, signal.strategy_id): signal
            for at, message in said
            if isinstance(message, SignalsStep)
            for signal in message.signals
        }
        for said in (one, other)
    ]
    keys = dict.fromkeys([*spoken[0], *spoken[1]])
    return tuple(sorted({key[3] for key in keys if spoken[0].get(key) != spoken[1].get(key)}))
