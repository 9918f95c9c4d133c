"""The report stream of the reference venue: numbers what it says, and misnumbers nothing unless told to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from execution.adapters.wire import WireHello, WireReport
from execution.reference_venue.behavior import Behavior, Fault

Line = bytes | None  # None: the stream ends


class Feed:
    """Every subscriber gets every line from its subscription on."""

    def __init__(self) -> None:
        self.seq = 0
        self._subscribers: list[asyncio.Queue[Line]] = []

    def subscribe(self) -> asyncio.Queue[Line]:
        """A queue of lines, the greeting first."""
        lines: asyncio.Queue[Line] = asyncio.Queue()
        lines.put_nowait(self.hello())
        self._subscribers.append(lines)
        return lines

    def hello(self) -> bytes:
        """For a subscriber who has got all so far: that this is all."""
        return msgspec.json.encode(WireHello(seq=self.seq))

    def unsubscribe(self, lines: asyncio.Queue[Line]) -> None:
        if lines in self._subscribers:
            self._subscribers.remove(lines)

    def publish(self, reports: Sequence[WireReport], behavior: Behavior) -> None:
        """What one request or one price brought about, in the order in which it happened, unless told to misbehave."""
        if len(reports) > 1 and behavior.strikes(Fault.REPORTS_REVERSED):
            reports = reports[::-1]
        for report in reports:
            for _ in range(2 if behavior.strikes(Fault.REPORT_TWICE) else 1):
                self.seq += 1
                if not behavior.strikes(Fault.REPORT_LOST):
                    self._tell(msgspec.json.encode(msgspec.structs.replace(report, seq=self.seq)))
            if behavior.strikes(Fault.DISCONNECT):
                self.disconnect()

    def disconnect(self) -> None:
        """Ends every subscription."""
        self._tell(None)
        self._subscribers.clear()

    def _tell(self, line: Line) -> None:
        for lines in self._subscribers:
            lines.put_nowait(line)
