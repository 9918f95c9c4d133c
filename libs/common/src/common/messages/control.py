"""What opens a run on the tape."""

from __future__ import annotations

from typing import ClassVar

from common.messages.base import Message
from common.model.instrument import Instrument
from common.model.time import Timeframe


class RunStarted(Message, frozen=True, kw_only=True):
    """First message of every tape: all that a replay needs to be the same run."""

    TYPE: ClassVar[str] = "system.run_started.v1"

    book: str
    profile: str
    data: str  # "builtin", "synthetic:crash" or a directory
    start_ns: int | None = None
    end_ns: int | None = None
    lockstep: bool = True  # a slice waits for the last step's risk.step
    config: str = ""  # the whole effective configuration, JSON
    build: str = ""


class InstrumentsDefined(Message, frozen=True, kw_only=True):
    """The instruments of the book, with the finest timeframe of each (same order)."""

    TYPE: ClassVar[str] = "md.instruments.v1"

    book: str
    account_currency: str
    instruments: tuple[Instrument, ...]
    base_timeframes: tuple[Timeframe, ...]
