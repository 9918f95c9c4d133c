"""What a feed hands over: raw rows in time order, not yet believed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec

from common.model.instrument import Instrument
from common.model.time import Timeframe


class RawBar(msgspec.Struct, gc=False):
    """A base bar as the source gives it. `ts` is its close; prices may be NaN or wrong.

    Spreads are ask minus bid at the open and close, None where the source has no quotes. `problem` says what in the
    row could not be read at all.
    """

    instrument_id: str
    ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    spread_open: float | None = None
    spread_close: float | None = None
    problem: str = ""


class RawTick(msgspec.Struct, gc=False):
    """A quote, or a trade (`bid` is None, `ask` its price), as the source gives it. `volume` is what traded."""

    instrument_id: str
    ts: int
    bid: float | None
    ask: float
    bid_size: float = 0.0
    ask_size: float = 0.0
    volume: float = 0.0
    problem: str = ""


RawRow = RawBar | RawTick


class RawStep(msgspec.Struct, gc=False):
    """Rows that arrive at one instant: base bars that close there, ticks of the base period that ends there.

    A row out of place in its source is handed over where it was found: its own `ts` is then not `ts_event`.
    """

    ts_event: int
    rows: tuple[RawRow, ...]


class Feed(Protocol):
    """A source of prices. `notes` lists what was chosen, merged or left out, a sentence each."""

    @property
    def instruments(self) -> tuple[Instrument, ...]: ...

    @property
    def base_timeframes(self) -> tuple[Timeframe, ...]:
        """Finest timeframe of each instrument, in the same order."""
        ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def steps(self) -> Iterator[RawStep]:
        """Every step once, `ts_event` rising."""
        ...
