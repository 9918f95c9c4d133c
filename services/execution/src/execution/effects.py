"""What execution asks of the world outside. Every effect is answered by one message on the tape; answers carry the attempt in
their key, so that asking again after a crash is answered once.
"""

from __future__ import annotations

from common.core import Effect
from common.messages.orders import Order


class RecordIntent(Effect, frozen=True, kw_only=True):
    """Write the order down, committed, before the venue hears of it. Answer: IntentRecorded or IntentFailed."""

    order: Order
    ts_event: int


class SendOrder(Effect, frozen=True, kw_only=True):
    """Send after `delay_s`. Answer: Accepted, Rejected, NotReceived or OutcomeUnknown."""

    order: Order
    attempt: int
    delay_s: float = 0.0


class CancelAtVenue(Effect, frozen=True, kw_only=True):
    """Answer: Canceled, CancelRefused, NotReceived or OutcomeUnknown."""

    client_order_id: str
    venue_order_id: str
    instrument_id: str
    attempt: int
    delay_s: float = 0.0


class AmendAtVenue(Effect, frozen=True, kw_only=True):
    """`order` as it shall be. Answer: Amended, AmendRefused, NotReceived or OutcomeUnknown."""

    order: Order
    venue_order_id: str
    attempt: int
    delay_s: float = 0.0


class QueryOrder(Effect, frozen=True, kw_only=True):
    """Answer: Status, NotFound, NotReceived or OutcomeUnknown. What was `held_back` by our own adapter is NotFound, and the venue
    is not asked: it is only a wait.
    """

    client_order_id: str
    instrument_id: str
    attempt: int
    delay_s: float = 0.0
    held_back: bool = False


class TakeSnapshot(Effect, frozen=True, kw_only=True):
    """Answer: VenueSnapshot, as soon as the venue gives one."""

    number: int
    delay_s: float = 0.0
