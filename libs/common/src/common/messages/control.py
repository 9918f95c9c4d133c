"""What opens a run on the tape."""

from __future__ import annotations

from typing import ClassVar

import msgspec

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


class FeatureChanged(Message, frozen=True, kw_only=True):
    """A feature of `service` failed too often and is off, or is on again (PLT-08). The rest of the service trades on."""

    TYPE: ClassVar[str] = "system.feature.v1"

    book: str
    service: str
    feature: str
    enabled: bool
    failures: int
    reason: str


class EnableFeature(Message, frozen=True, kw_only=True):
    """Switches a disabled feature on again, before its cool-down is over."""

    TYPE: ClassVar[str] = "cmd.features.enable.v1"

    book: str
    author: str
    service: str
    feature: str
    reason: str


class ParameterMoved(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the configuration, and its values as JSON; None is what the profile and the strategy have of their own."""

    key: str
    before: str | None
    after: str | None


class ParametersChanged(Message, frozen=True, kw_only=True):
    """Something was decided about other parameters for a profile (RES-06). It tells what a home has decided; a run trades with the
    configuration that it was started with. `moved` is empty where what is in force stays; `plan` is empty for a reset.
    """

    TYPE: ClassVar[str] = "system.parameters.v1"

    book: str
    profile: str
    change_id: str  # of the home: the same change said twice has the same
    plan: str
    action: str  # propose, test, step, finish, rollback or reset
    step: int
    steps: int
    moved: tuple[ParameterMoved, ...]
    author: str
    reason: str
    evidence: str


class ServiceStarted(Message, frozen=True, kw_only=True):
    """`instance` begins to speak for `service`: at every start and every take-over, before it says anything of its own. What
    it says from here on comes from that `build`, with messages of those `contracts` (docs/adr/0013).
    """

    TYPE: ClassVar[str] = "system.service_started.v1"

    service: str
    instance: str
    build: str
    contracts: str


class LeaseTaken(Message, frozen=True, kw_only=True):
    """`instance` speaks for `service` from here on; whoever held the lease before is refused by the tape (PLT-12). `token`
    rises with every holder.
    """

    TYPE: ClassVar[str] = "lease.taken.v1"

    service: str
    instance: str
    token: int
