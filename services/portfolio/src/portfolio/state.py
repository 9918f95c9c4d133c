"""Everything the portfolio remembers."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from common.messages.market_data import MarketSlice
from common.messages.orders import ExecutionStep
from common.messages.portfolio import Contribution
from common.messages.signals import Signal, SignalsStep
from common.model.enums import TradingState
from common.model.instrument import Instrument


class Holding(msgspec.Struct, kw_only=True):
    """A strategy's live opinion and the share of the book it owns. `contribution` is None while there is no room or price,
    and for good once the stop was touched.
    """

    signal: Signal
    contribution: Contribution | None = None
    stopped: bool = False


class State(msgspec.Struct, kw_only=True):
    """`holdings` by strategy, instrument and timeframe. `closes` are the last (time, close) of the correlation timeframe.
    `targets` is what the book last wanted; `refused` what was denied when the book last wanted it.
    """

    book: str = ""
    instruments: dict[str, Instrument] = msgspec.field(default_factory=dict)
    last_px: dict[str, Decimal] = msgspec.field(default_factory=dict)
    closes: dict[str, list[tuple[int, float]]] = msgspec.field(default_factory=dict)
    holdings: dict[str, Holding] = msgspec.field(default_factory=dict)
    targets: dict[str, Decimal] = msgspec.field(default_factory=dict)
    refused: dict[str, Decimal] = msgspec.field(default_factory=dict)
    cut: bool = False  # risk was cut: this step trades every difference, however small
    trading: TradingState = TradingState.ACTIVE
    exposure_factor: float = 1.0
    stop_factor: float = 1.0
    rebalanced_ns: int = 0
    slices: list[MarketSlice] = msgspec.field(default_factory=list)
    signals: list[SignalsStep] = msgspec.field(default_factory=list)
    executions: list[ExecutionStep] = msgspec.field(default_factory=list)
    equity: Decimal | None = None
