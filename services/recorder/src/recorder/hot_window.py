"""Which bars are too old to be kept. Pure.

Bars finer than an hour go once they are older than some days, every six hours of data time. What is left follows from what is
recorded and from the setting alone: whoever starts over goes on where the one before was killed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from common.model.time import NS_PER_DAY, NS_PER_HOUR

EVERY_NS: Final = 6 * NS_PER_HOUR
LEAST: Final = 5_000  # rows at a time, some hundredths of a second


class Trim(NamedTuple):
    """Fine bars that closed at `until_ns` or before are to go, the `limit` oldest of them."""

    until_ns: int
    limit: int


class HotWindow:
    """At most one trim between two commits. Twice as many rows as were added since the last one: so it catches up with any replay."""

    def __init__(self, days: int) -> None:
        self._length_ns: Final = days * NS_PER_DAY
        self._done_ns: int | None = None
        self._added = 0

    def recorded(self, bars: int) -> None:
        """So many bars were added."""
        self._added += bars

    def due(self, ts_event: int) -> Trim | None:
        """What is to go at data time `ts_event`, None when nothing is. 0 is before the first slice."""
        until_ns = ts_event // EVERY_NS * EVERY_NS - self._length_ns
        if not self._length_ns or not ts_event or until_ns == self._done_ns:
            return None
        return Trim(until_ns, max(LEAST, 2 * self._added))

    def trimmed(self, trim: Trim, rows: int) -> None:
        """`rows` of it have gone; fewer than the limit means all."""
        self._added = 0
        if rows < trim.limit:
            self._done_ns = trim.until_ns
