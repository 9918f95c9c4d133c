"""How the venue does (EXE-02), and the time of what it says."""

from __future__ import annotations

from typing import Final

from common.messages.orders import VenueHealth
from common.messages.venue import VenueConnection
from common.model.time import NS_PER_DAY
from execution.context import Context
from execution.routing import release
from execution.state import Connection

_PRESENT: Final = 4 * NS_PER_DAY  # a long weekend of daily bars


def on_connection(ctx: Context, message: VenueConnection) -> None:
    """Said on change. What waited for the venue goes out when it is usable again."""
    before = ctx.state.connection
    now = Connection(
        venue=message.venue,
        connected=message.connected,
        usable=message.connected and not message.breaker_open,
        failures=message.failures,
        reason=message.reason,
    )
    ctx.state.connection = now
    if (before.venue, before.connected, before.usable) != (now.venue, now.connected, now.usable):
        say_health(ctx)
    if now.usable and not before.usable:
        release(ctx)


def say_health(ctx: Context) -> None:
    """Nothing before the book has a name, or the venue has been heard of."""
    connection = ctx.state.connection
    if ctx.state.book and connection.venue:
        ctx.out.append(
            VenueHealth(
                ts_event=ctx.ts,
                book=ctx.state.book,
                venue=connection.venue,
                connected=connection.connected,
                usable=connection.usable,
                failures=connection.failures,
                reason=connection.reason,
            )
        )


def venue_time(ctx: Context, ts_event: int) -> int:
    """The venue's own, where it belongs to the present of the run. A replay does not live by the venue's clock: there it is
    that of the last slice.
    """
    last = ctx.state.ts
    return ts_event if last <= ts_event <= last + _PRESENT else last
