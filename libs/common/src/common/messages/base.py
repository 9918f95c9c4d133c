"""The base of everything said on the tape, and the envelope it travels in."""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A fact (`OrderFilled`), a state (`RegimeStep`) or a command (`HaltTrading`).

    `ts_event` is nanoseconds UTC: when it became true in the market, which in a replay is not now. `TYPE` ends in the
    version; within a version fields are only added, with a default.
    """

    TYPE: ClassVar[str] = ""

    ts_event: int


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """How a message travels.

    `cause_seq` is the tape sequence of the message that made the sender speak (for market data, the number of the
    feed's step) and `cause_index` the place among what it said then: together they say how far a restarted sender had
    come. Both are -1 for what enters from outside (commands, venue reports). `ts_init` is the wall clock of the sender
    and no part of the identity.
    """

    id: str
    type: str
    source: str
    ts_event: int
    ts_init: int
    correlation_id: str
    causation_id: str
    cause_seq: int = -1
    cause_index: int = -1
    data: msgspec.Raw
