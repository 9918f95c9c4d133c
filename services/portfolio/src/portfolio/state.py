"""Everything the portfolio remembers."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from common.isolation import Features
from common.messages.market_data import MarketSlice
from common.messages.orders import ExecutionStep
from common.messages.portfolio import Contribution
from common.messages.regime import RegimeStep
from common.messages.signals import Signal, SignalsStep
from common.model.enums import TradingState
from common.model.instrument import Instrument
from portfolio.exits import Progress, Watch


class Holding(msgspec.Struct, kw_only=True):
    """A strategy's live opinion and the share of the book it owns. `contribution` is None while there is no room or price or
    the strategy is halted, and for good once a stop or exit has closed it (`stopped`). `exits` is None before the
    first contribution, and where exits are not watched.
    """

    signal: Signal
    contribution: Contribution | None = None
    stopped: bool = False
    exits: Progress | None = None


class Seen(msgspec.Struct, kw_only=True):
    """An execution step, and what of its positions was the operator's."""

    execution: ExecutionStep
    manual: dict[str, Decimal]


class Denied(msgspec.Struct, frozen=True, kw_only=True):
    """New risk toward the present target was denied so many `times` for what may pass; not proposed again before `until_ns`."""

    times: int
    until_ns: int


class State(msgspec.Struct, kw_only=True):
    """`holdings` by strategy, instrument and timeframe. `closes` are the last (time, close) of the correlation timeframe.
    `targets` is what the book last wanted; `refused` what was denied since the last rebalance when the book wanted it, `denied` what
    was denied for a reason that may pass. `halted` has the
    reason by "strategy|instrument", an empty id being any. `manual` is what operators hold, by instrument;
    `cut_by_guardian` where the guardian traded since the last execution step.
    """

    book: str = ""
    instruments: dict[str, Instrument] = msgspec.field(default_factory=dict)
    last_px: dict[str, Decimal] = msgspec.field(default_factory=dict)
    closes: dict[str, list[tuple[int, float]]] = msgspec.field(default_factory=dict)
    holdings: dict[str, Holding] = msgspec.field(default_factory=dict)
    targets: dict[str, Decimal] = msgspec.field(default_factory=dict)
    refused: dict[str, Decimal] = msgspec.field(default_factory=dict)
    denied: dict[str, Denied] = msgspec.field(default_factory=dict)
    cut: bool = False  # risk was cut: this step trades every difference, however small
    trading: TradingState = TradingState.ACTIVE
    exposure_factor: float = 1.0
    stop_factor: float = 1.0
    min_confidence: float = 0.0
    halted: dict[str, str] = msgspec.field(default_factory=dict)
    manual: dict[str, Decimal] = msgspec.field(default_factory=dict)
    cut_by_guardian: list[str] = msgspec.field(default_factory=list)
    rebalanced_ns: int = 0
    slices: list[MarketSlice] = msgspec.field(default_factory=list)
    regimes: list[RegimeStep] = msgspec.field(default_factory=list)
    signals: list[SignalsStep] = msgspec.field(default_factory=list)
    executions: list[Seen] = msgspec.field(default_factory=list)
    watch: Watch = msgspec.field(default_factory=Watch)
    features: Features = msgspec.field(default_factory=dict)  # those that have failed
    equity: Decimal | None = None
    last_ns: int = 0  # of the last step
