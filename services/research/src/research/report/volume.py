"""How much was traded when a trade began, against what is usual for its instrument."""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from statistics import fmean
from typing import Final

from common.messages.market_data import Bar
from common.model.time import Timeframe

USUAL_DAYS: Final = 20
LOW_BELOW, HIGH_ABOVE = 0.75, 1.25  # of what is usual


class VolumeLevel(StrEnum):
    LOW = "LOW"
    NORMAL = "NORMAL"
    HIGH = "HIGH"
    NONE = "NONE"  # not known


class Volumes:
    """Of the last days by instrument. Daily bars only: the fast engine skips others, and a day is over before it is judged, so
    that the level could have been known at the entry.
    """

    def __init__(self) -> None:
        self._days: dict[str, deque[float]] = {}

    def see(self, bar: Bar) -> None:
        if bar.timeframe is Timeframe.D1:
            self._days.setdefault(bar.instrument_id, deque(maxlen=USUAL_DAYS + 1)).append(bar.volume)

    def level(self, instrument_id: str) -> VolumeLevel:
        """The last closed day against the mean of the `USUAL_DAYS` before it. NONE where there are fewer, and where the last
        one has no volume; units do not matter, so counts of ticks will do.
        """
        *before, last = self._days.get(instrument_id) or (0.0,)
        if len(before) < USUAL_DAYS or not last:
            return VolumeLevel.NONE
        usual = fmean(before)
        if last > HIGH_ABOVE * usual:
            return VolumeLevel.HIGH
        return VolumeLevel.LOW if last < LOW_BELOW * usual else VolumeLevel.NORMAL
