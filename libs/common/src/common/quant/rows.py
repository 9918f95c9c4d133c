"""State of many series in one array, a row each, so that one compiled call serves a whole slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from common.messages.market_data import Bar
from common.quant.kernel import Floats, Ints

if TYPE_CHECKING:
    Table: TypeAlias = Floats
else:
    Table = np.ndarray  # a field of a state names the plain class, which is what a snapshot knows to restore


def row_numbers(index: dict[str, int], bars: Sequence[Bar]) -> Ints:
    """The row of each bar's series (instrument and timeframe); a new series gets the next one, in `index` too."""
    return np.array([index.setdefault(bar.instrument_id + " " + bar.timeframe, len(index)) for bar in bars], np.int64)


def with_rows(array: Floats, count: int) -> Floats:
    """`array` itself if it has `count` rows, else a copy with fresh (zero) rows below, doubled so that copies stay rare."""
    have = array.shape[0]
    if count <= have:
        return array
    return np.concatenate((array, np.zeros((max(count, 2 * have) - have, *array.shape[1:]))))


def high_low_close(bars: Sequence[Bar]) -> Floats:
    """float64[bars, 3], as kernels take it."""
    return np.array([(bar.high, bar.low, bar.close) for bar in bars], np.float64)
