"""What the parts of the fast engine share: the three cores that know the book, what is said without them, and what was skipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol, Self

from common.core import Core
from common.messages.regime import RegimeReading
from common.messages.signals import Signal
from common.quant.kernel import Ints
from execution.core import Execution
from portfolio.core import Portfolio
from risk_guardian.core import RiskGuardian


class Views(Protocol):
    """What regime and signals say; see `Opinions`."""

    @property
    def steps(self) -> Ints: ...
    def signals(self, index: int, /) -> tuple[Signal, ...]: ...
    def readings(self, index: int, /) -> tuple[RegimeReading, ...]: ...
    def latest(self, index: int, /) -> tuple[RegimeReading, ...]: ...


class Stretch(NamedTuple):
    """Slices that were skipped, by number, with their base bars and signals. `closes` are the last ones of instruments that had
    a bar; `equity` are those that matter for peaks and troughs, in order of time; `readings` gives the last one of each series up
    to here.
    """

    slices: int
    bars: int
    signals: int
    closes: Mapping[str, float]
    equity: Sequence[Decimal]
    readings: Callable[[], Sequence[RegimeReading]] = tuple


class Desk(NamedTuple):
    """The cores whose answers depend on the book."""

    execution: Execution
    portfolio: Portfolio
    guardian: RiskGuardian

    @classmethod
    def of(cls, cores: Mapping[str, Core]) -> Self:
        execution, portfolio, guardian = (cores[name] for name in ("execution", "portfolio", "risk_guardian"))
        assert isinstance(execution, Execution)
        assert isinstance(portfolio, Portfolio)
        assert isinstance(guardian, RiskGuardian)
        return cls(execution, portfolio, guardian)
