"""What a venue says, in our words: one closed union for every adapter, and the message that carries it.

An adapter translates and judges nothing. A report may come twice, late, or before the one it follows from; the order manager
of execution must live with every order of them.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

import msgspec

from common.messages.base import Message


class Request(StrEnum):
    """What was asked of the venue."""

    SEND = "SEND"
    CANCEL = "CANCEL"
    AMEND = "AMEND"
    QUERY = "QUERY"


class _Report(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    client_order_id: str


class Accepted(_Report, frozen=True, kw_only=True, tag=True):
    venue_order_id: str


class Rejected(_Report, frozen=True, kw_only=True, tag=True):
    """For good: sending it again would be rejected again."""

    reason: str


class Traded(_Report, frozen=True, kw_only=True, tag=True):
    """One execution. `trade_id` is the venue's own: the same id is the same execution. `commission` >= 0."""

    venue_order_id: str
    trade_id: str
    last_qty: Decimal
    last_px: Decimal
    commission: Decimal
    commission_currency: str
    maker: bool = False


class Canceled(_Report, frozen=True, kw_only=True, tag=True):
    reason: str = ""


class Expired(_Report, frozen=True, kw_only=True, tag=True):
    pass


class CancelRefused(_Report, frozen=True, kw_only=True, tag=True):
    """Mostly: it has traded, or is gone already."""

    reason: str


class Amended(_Report, frozen=True, kw_only=True, tag=True):
    """The order's terms as the venue has them now; `qty` with the filled part."""

    qty: Decimal
    limit_px: Decimal | None = None
    stop_px: Decimal | None = None


class AmendRefused(_Report, frozen=True, kw_only=True, tag=True):
    reason: str


class NotReceived(_Report, frozen=True, kw_only=True, tag=True):
    """The venue certainly has not got the request (no connection, rate limit, breaker open): it may be sent again. `held_back`: we
    had more to ask than we allow ourselves, which is no failure of the venue.
    """

    request: Request
    reason: str
    retry_after_s: float = 0.0
    held_back: bool = False


class OutcomeUnknown(_Report, frozen=True, kw_only=True, tag=True):
    """No answer, or a broken one: the venue may have acted. Query before anything is sent again."""

    request: Request
    reason: str


class NotFound(_Report, frozen=True, kw_only=True, tag=True):
    """Answer to a query: the venue has never heard of the order."""


class Status(_Report, frozen=True, kw_only=True, tag=True):
    """Answer to a query: how the order stands, and every execution of it."""

    venue_order_id: str
    working: bool
    final: str = ""  # FILLED, CANCELED, EXPIRED or REJECTED when it does not work any more
    trades: tuple[Traded, ...] = ()


Report = (
    Accepted
    | Rejected
    | Traded
    | Canceled
    | Expired
    | CancelRefused
    | Amended
    | AmendRefused
    | NotReceived
    | OutcomeUnknown
    | NotFound
    | Status
)


class VenueReported(Message, frozen=True, kw_only=True):
    """Execution's shell: the venue said this."""

    TYPE: ClassVar[str] = "venue.report.v1"

    report: Report


class VenueOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that works at the venue."""

    client_order_id: str
    venue_order_id: str
    instrument_id: str
    signed_leaves_qty: Decimal


class VenueSnapshot(Message, frozen=True, kw_only=True):
    """Execution's shell: everything the venue has of this account, answer to reconciliation request `number`. Positions are
    signed quantities by instrument, flat ones left out; `trades` are the newest, in
    the order in which they happened.
    """

    TYPE: ClassVar[str] = "venue.snapshot.v1"

    number: int
    orders: tuple[VenueOrder, ...]
    positions: dict[str, Decimal]
    cash: dict[str, Decimal]
    trades: tuple[Traded, ...] = ()


class VenueConnection(Message, frozen=True, kw_only=True):
    """Execution's shell: the connection to the venue, or its circuit breaker, changed."""

    TYPE: ClassVar[str] = "venue.connection.v1"

    venue: str
    connected: bool
    breaker_open: bool
    failures: int
    reason: str
