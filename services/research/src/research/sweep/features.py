"""Features of a block of bars, each period computed once for all configurations that use it.

The same steps that live calls, in the same order, hence the same bits; only the plain average looks its old values up in
the closes instead of carrying a ring.
"""

from __future__ import annotations

import numpy as np

from common.quant.kernel import NAN, Floats, Ints, kernel
from signals.features import feature_step

NOT_YET = -1


@kernel
def _sma_block(total: float, closes: Floats, begin: int, end: int, period: int, out: Floats) -> float:
    left = period - begin % period
    for i in range(begin, end):
        old = closes[i - period] if i >= period else 0.0
        total = total + (closes[i] - old)
        left -= 1
        if left == 0:
            left, total = period, 0.0
            for k in range(i - period + 1, i + 1):
                total += closes[k]
        out[i - begin + 1] = total / period if i + 1 >= period else NAN
    return total


@kernel
def feature_block(lines: Ints, words: Floats, warm_at: Ints, bars: Floats, begin: int, end: int, out: Floats) -> None:
    """Bars `begin` to `end` of `bars`, float64[3, all bars]: high, low, close.

    `lines` is the table of `signals.features.table`, without features that need volume or time; `words` its state, carried
    from block to block. `out`, float64[features, 1 + block], gets the last value of the block before in column 0, then a
    column a bar. `warm_at` gets the first bar that is not NaN, by feature.
    """
    size = end - begin
    for j in range(lines.shape[0]):
        line, own, values = lines[j], words[lines[j, 4] : lines[j, 5]], out[j]
        if lines[j, 0] == 0:
            own[1] = _sma_block(own[1], bars[2], begin, end, lines[j, 1], values)
        else:
            for i in range(size):
                high, low, close = bars[0, begin + i], bars[1, begin + i], bars[2, begin + i]
                values[i + 1] = feature_step(line, own, high, low, close, 0.0, 0.0)
        if warm_at[j] == NOT_YET:
            for i in range(size):
                if not np.isnan(values[i + 1]):
                    warm_at[j] = begin + i
                    break


def warm() -> None:
    """Compiles all kernels of a sweep, these and those they work with."""
    from research.sweep.run import warm as warm_all

    warm_all()
