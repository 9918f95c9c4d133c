"""What the folds over a run are told of steps without a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from common.messages.regime import RegimeReading


class Passed(Protocol):
    """See `research.fast.engine.Stretch`. `readings` gives the last one of every series up to the end of it, at some cost."""

    @property
    def slices(self) -> int: ...
    @property
    def bars(self) -> int: ...
    @property
    def signals(self) -> int: ...
    @property
    def closes(self) -> Mapping[str, float]: ...
    @property
    def equity(self) -> Sequence[Decimal]: ...
    @property
    def readings(self) -> Callable[[], Sequence[RegimeReading]]: ...
