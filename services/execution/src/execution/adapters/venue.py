"""What every venue adapter is: requests that are answered in our words whatever happens, and a stream of what the venue says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from common.messages.orders import Order
from common.messages.venue import Report, VenueSnapshot


class Connection(NamedTuple):
    """How the way to the venue is; told when it changes. `failures` in a row, 0 while all is well."""

    connected: bool
    breaker_open: bool
    failures: int
    reason: str


Heard = Callable[[Report | Connection], Awaitable[None]]


class Venue(Protocol):
    """Nothing here raises for the venue's or the network's trouble: it comes back as NotReceived (certainly not there),
    OutcomeUnknown (perhaps) or a refusal, and what is sent is sent once: who sends again is the core.

    Every request but `cancel_all` carries the token of the fence it was made with (common.runtime.tape.Fence), and is not
    sent without one.
    """

    name: str

    async def listen(self, heard: Heard) -> None:
        """For ever. `heard` gets every report, twice perhaps or out of order, and every change of the connection, its first
        state too once that is known. Raises only what `heard` raises, and bugs.
        """
        ...

    async def send(self, order: Order) -> Report:
        """Accepted, Rejected, NotReceived or OutcomeUnknown."""
        ...

    async def cancel(self, client_order_id: str, venue_order_id: str, instrument_id: str) -> Report:
        """Canceled, CancelRefused, NotReceived or OutcomeUnknown."""
        ...

    async def amend(self, order: Order, venue_order_id: str) -> Report:
        """`order` as it shall be. Amended, AmendRefused, NotReceived or OutcomeUnknown."""
        ...

    async def query(self, client_order_id: str, instrument_id: str) -> Report:
        """Status, NotFound, NotReceived or OutcomeUnknown."""
        ...

    async def snapshot(self, number: int, ts_event: int) -> VenueSnapshot | None:
        """All the venue has of this account; None when it does not answer."""
        ...

    async def cancel_all(self) -> bool:
        """Takes everything off the market, past breaker and rate limit, with the last token held. True: the venue did."""
        ...

    async def close(self) -> None:
        """After `listen` was canceled."""
        ...
