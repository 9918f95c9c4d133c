"""What the volume profile says about a price (SIG-08): whether it is near a level, and how much to risk there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.quant.kernel import Floats
from signals.api import Feature, Params, Poc, Vah, Val, VolumeHere

LEVELS: Final = ("poc", "vah", "val")


def features(p: Params) -> Mapping[str, Feature]:
    """The three levels, and the volume at the close over that at the point of control."""
    return {"poc": Poc(p["days"]), "vah": Vah(p["days"]), "val": Val(p["days"]), "here": VolumeHere(p["days"])}


def level_near(price: float, now: Mapping[str, float], zone: float) -> str | None:
    """The level, of several the nearest, from which `price` is off by at most the fraction `zone`; None for none."""
    away, name = min((abs(price - now[level]) / now[level], level) for level in LEVELS)
    return name if away <= zone else None


def near_level(prices: Floats, now: Mapping[str, Floats], zone: float) -> NDArray[np.bool_]:
    """Whether `level_near` finds one, on all bars."""
    near = np.zeros(prices.size, np.bool_)
    for level in LEVELS:
        near |= abs(prices - now[level]) / now[level] <= zone
    return near


def size_at(here: float, *, full: float, least: float) -> float:
    """Smaller positions where little was traded: 1 from `full` times the volume of the point of control on, in proportion
    below, never less than `least`.
    """
    return max(least, min(1.0, here / full))
