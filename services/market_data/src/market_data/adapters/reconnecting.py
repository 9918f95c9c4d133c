"""What live adapters share: one session after the other, for ever, with a pause between them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final

from market_data.adapters.retry import Backoff
from market_data.live.connection import Clock, Connected, Disconnected, FeedEvent, QuoteSeen, TradeSeen

Session = Callable[[], AsyncGenerator[FeedEvent, None]]


class LostError(Exception):
    """A session is over, and why, in words that hold no secret. `retry_after_s` is what the venue asked for."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason: Final = reason
        self.retry_after_s: Final = retry_after_s


class Reconnecting:
    """A `Connection` made of sessions. One that is not connected after `opening_s`, or then says nothing at all for `silence_s`, or no
    price for `price_s` where a market never rests, is given up; the pauses grow until one has priced for `steady_s`.
    """

    def __init__(
        self,
        name: str,
        session: Session,
        clock: Clock,
        *,
        backoff: Backoff,
        silence_s: float,
        opening_s: float = 60.0,  # what an exchange lists can be ten megabytes
        price_s: float = math.inf,
        steady_s: float = 10.0,  # a venue that greets with a price and hangs up is not called twice a second
    ) -> None:
        self.name = name
        self._session = session
        self._clock = clock
        self._backoff = backoff
        self._silence_s = silence_s
        self._opening_s = opening_s
        self._price_s = price_s
        self._steady_s = steady_s

    async def events(self) -> AsyncIterator[FeedEvent]:
        failures, now = 0, asyncio.get_running_loop().time
        while True:
            began = now()
            lost = LostError("the venue ended the connection")
            async with aclosing(self._session()) as said, aclosing(self._watched(said)) as watched:
                try:
                    async for event in watched:
                        if isinstance(event, QuoteSeen | TradeSeen) and now() - began >= self._steady_s:
                            failures = 0
                        yield event
                except LostError as error:
                    lost = error
            failures += 1
            yield Disconnected(ts_received=self._clock(), reason=lost.reason)
            await asyncio.sleep(self._backoff.pause_s(failures, lost.retry_after_s))

    async def _watched(self, said: AsyncGenerator[FeedEvent, None]) -> AsyncGenerator[FeedEvent, None]:
        """What a session says, until it says too little. Raises LostError."""
        now = asyncio.get_running_loop().time
        connected, priced_at = False, now()
        while now() - priced_at <= self._price_s:
            try:
                async with asyncio.timeout(self._silence_s if connected else self._opening_s):
                    event = await anext(said)
            except StopAsyncIteration:
                return
            except TimeoutError:
                silent = f"said nothing for {self._silence_s:g} s"
                raise LostError(silent if connected else f"no connection for {self._opening_s:g} s") from None
            connected = connected or isinstance(event, Connected)
            if isinstance(event, QuoteSeen | TradeSeen):
                priced_at = now()
            yield event
        raise LostError(f"no price for {self._price_s:g} s")

    async def close(self) -> None:
        """Sessions close what they opened when the iteration over `events` ends."""
