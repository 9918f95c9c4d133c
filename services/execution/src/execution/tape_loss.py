"""What happens when the tape is gone: after a while everything is taken off the market at the venue itself. Nobody is left to
say why an order works; what became of it the next session learns from the venue's snapshot.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from execution.adapters.venue import Venue

_AGAIN_AFTER_S: Final = 0.25


class TapeLoss:
    """One for the process: a loss outlasts the session that noticed it. `gone` from `lost` to `found`."""

    def __init__(self) -> None:
        self.gone = False
        self._countdown: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def lost(self, venue: Venue, after_s: float, settle_s: float) -> None:
        """Counts from now, unless it is gone already; cancels all when `found` does not come before. And once more after
        `settle_s`: an order may have been on its way.
        """
        if not self.gone:
            self.gone = True
            self._countdown = asyncio.create_task(_cancel_all(venue, after_s, settle_s))

    def found(self) -> None:
        """The tape is there again."""
        self.gone = False
        if self._countdown is not None:
            self._countdown.cancel()

    def close_when_over(self, venue: Venue) -> None:
        """Takes over a venue whose session has ended."""
        closing = asyncio.create_task(self._close(venue))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _close(self, venue: Venue) -> None:
        if self._countdown is not None:
            await asyncio.wait({self._countdown})
        await venue.close()


async def _cancel_all(venue: Venue, after_s: float, settle_s: float) -> None:
    log = structlog.get_logger()
    await asyncio.sleep(after_s)
    log.warning("tape lost, canceling all orders at the venue", venue=venue.name, after_s=after_s)
    await _insist(venue)
    log.warning("all orders canceled at the venue", venue=venue.name)
    await asyncio.sleep(settle_s)
    await _insist(venue)


async def _insist(venue: Venue) -> None:
    canceled = await venue.cancel_all()
    while not canceled:
        await asyncio.sleep(_AGAIN_AFTER_S)
        canceled = await venue.cancel_all()
