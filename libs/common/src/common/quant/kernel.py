"""How a numeric kernel is compiled.

An indicator is a step: `value = step(state, bar..., parameters)`. `state` is float64, all zeros when fresh, and changed
in place; so a snapshot of an indicator is a copy of its array. Live calls the step once per bar, research runs the same
step in a compiled loop over whole arrays: both give the same bits. A value is NaN until it is warm or where it is
undefined. Inputs are finite. `fastmath` stays off: it would let the two drivers round differently.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
NAN: Final = float("nan")

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """`function`, compiled at its first call and from then on taken from a cache on disk.

    Division by zero gives inf or NaN. The cache of a kernel does not notice a change in a kernel of another file that it
    calls: `python -m common.quant.warm` does.
    """
    return cast("F", njit(cache=True, error_model="numpy")(function))
