"""What every live adapter is: an endless stream of what one feed says and of how it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

import msgspec

Clock = Callable[[], int]  # wall clock, nanoseconds UTC


class QuoteSeen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Best bid and ask as the feed says them, believed or not. `ts_venue` is the venue's own time, 0 where it names none;
    `ts_received` ours. `symbol` is spelled as in the settings of the feed: BTC-USD, EUR-USD, AAPL.
    """

    symbol: str
    ts_received: int
    bid: float
    ask: float
    ts_venue: int = 0
    bid_size: float = 0.0
    ask_size: float = 0.0


class TradeSeen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A market print. `trade_id` is the venue's, empty where it names none: the same one twice is a duplicate."""

    symbol: str
    ts_received: int
    px: float
    qty: float = 0.0
    ts_venue: int = 0
    trade_id: str = ""


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The feed says that it lives, and no price with it: a ping, a keep-alive line."""

    ts_received: int
    ts_venue: int = 0


class Malformed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message that could not be read. `symbol` is empty where it names none; `detail` holds no secret."""

    ts_received: int
    detail: str
    symbol: str = ""


class Connected(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Subscribed: prices follow. Said after every connection, the first one too."""

    ts_received: int


class Disconnected(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """No prices until the next `Connected`. `reason` holds no secret."""

    ts_received: int
    reason: str


FeedEvent = QuoteSeen | TradeSeen | Heartbeat | Malformed | Connected | Disconnected


class Connection(Protocol):
    """One feed. `name` is its key in `[market_data.feeds]`."""

    name: str

    def events(self) -> AsyncIterator[FeedEvent]:
        """In the order in which they came. Connects, subscribes, and after every trouble (network, a refused key, 429)
        says Disconnected once, waits, and connects again: it raises only bugs. Ends only where recorded data end.
        """
        ...

    async def close(self) -> None:
        """After the iteration over `events` was canceled."""
        ...
