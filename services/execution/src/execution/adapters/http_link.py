"""Requests to a venue over HTTP, sent at most once each, and what can be said for certain about each of them.

Refused here without being sent: without a valid lease; orders while the circuit breaker is open; beyond the rate limit. What
takes orders off the market or only asks passes an open breaker, and has tokens kept for it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import httpx

from common.runtime.tape import Fence
from execution.adapters.wire import TOKEN_HEADER, VALID_UNTIL_HEADER
from execution.breaker import Breaker, Circuit
from execution.rate_limit import RateLimit
from execution.venue_settings import VenueSettings

MAX_RETRY_AFTER_S: Final = 60.0
_DEFAULT_RETRY_AFTER_S: Final = 1.0
# Nothing was written yet when these happen; after any other trouble the venue may have read the request.
_BEFORE_SENDING: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_REQUEST_TIMEOUT: Final = 408  # may come from a proxy that had passed the request on
_NOT_DONE: Final = {
    b"STALE_TOKEN": "a newer holder of the lease has spoken",
    b"TOO_LATE": "it came to the venue too late",
}


class Answered(NamedTuple):
    """The venue's own answer: below 400 it was done, from there on refused."""

    status: int
    body: bytes


class NotSent(NamedTuple):
    """The venue certainly has not acted on it."""

    reason: str
    retry_after_s: float = 0.0


class Unclear(NamedTuple):
    """The venue may have acted on it."""

    reason: str


Outcome = Answered | NotSent | Unclear


class HttpLink:
    """`changed` is called when the breaker opens or closes."""

    def __init__(self, settings: VenueSettings, fence: Fence, changed: Callable[[], Awaitable[None]]) -> None:
        self.breaker = Breaker(
            max_failures=settings.max_failures,
            cool_down_s=settings.cool_down_s,
            max_cool_down_s=settings.max_cool_down_s,
        )
        self._limit = RateLimit(per_s=settings.rate_per_s, burst=settings.burst)
        self._reserve = max(settings.burst // 4, 1)
        self._fence = fence
        self._changed = changed
        self._last_token = 0
        self._opened = asyncio.Event()
        self._longest_s = settings.connect_timeout_s + settings.request_timeout_s
        self._valid_ns = round(settings.request_timeout_s * 1e9)
        self._client = httpx.AsyncClient(
            base_url=settings.url,
            timeout=httpx.Timeout(settings.request_timeout_s, connect=settings.connect_timeout_s),
            trust_env=False,
        )

    async def ask(self, method: str, path: str, body: bytes | None = None, *, adds: bool = False) -> Outcome:
        """Sends the request once. `adds` says that it puts an order on the market."""
        token = self._fence.token()
        if token is None:
            return NotSent("the lease is not held")
        self._last_token = token
        now = time.monotonic()
        if adds and not self.breaker.passes():
            return NotSent("circuit breaker open", self.breaker.opens_in(now))
        if wait_s := self._limit.take(now, reserve=self._reserve if adds else 0.0):
            return NotSent("rate limit", wait_s)
        return await self._send(method, path, body, token)

    async def insist(self, method: str, path: str) -> Outcome:
        """Past breaker, rate limit and lease, with the last token held: for what must be tried whatever the venue is like.
        The venue refuses it when somebody else has taken over.
        """
        return await self._send(method, path, None, self._fence.token() or self._last_token)

    async def probe(self, path: str) -> None:
        """For ever: asks `path` whenever a pause of the open breaker is over."""
        while True:
            await self._opened.wait()
            await asyncio.sleep(self.breaker.opens_in(time.monotonic()))
            if self.breaker.probe(time.monotonic()):
                await self.ask("GET", path)
                if self.breaker.circuit is Circuit.HALF_OPEN:  # not even sent: no lease, or the venue wants a pause
                    await self._count(failed=True)
            if self.breaker.passes():
                self._opened.clear()

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, method: str, path: str, body: bytes | None, token: int) -> Outcome:
        headers = {TOKEN_HEADER: str(token), VALID_UNTIL_HEADER: str(time.monotonic_ns() + self._valid_ns)}
        try:
            async with asyncio.timeout(self._longest_s):
                response = await self._client.request(method, path, content=body, headers=headers)
        except _BEFORE_SENDING as error:
            await self._count(failed=True)
            return NotSent(f"no connection: {_say(error)}")
        except (httpx.TransportError, TimeoutError) as error:
            await self._count(failed=True)
            return Unclear(f"no answer: {_say(error)}")
        return await self._judge(response)

    async def _judge(self, response: httpx.Response) -> Outcome:
        status = response.status_code
        if status == httpx.codes.TOO_MANY_REQUESTS:
            pause_s = retry_after_s(response.headers.get("Retry-After", ""))
            self._limit.pause(time.monotonic(), pause_s)
            return NotSent("the venue's rate limit", pause_s)
        if status == httpx.codes.FORBIDDEN:
            for code, meaning in _NOT_DONE.items():
                if code in response.content:
                    return NotSent(meaning)
        broken = status >= httpx.codes.INTERNAL_SERVER_ERROR or status == _REQUEST_TIMEOUT
        await self._count(failed=broken)
        if broken:
            return Unclear(f"HTTP {status}")
        return Answered(status, response.content)

    async def _count(self, *, failed: bool) -> None:
        passed = self.breaker.passes()
        if failed:
            self.breaker.failed(time.monotonic())
        else:
            self.breaker.succeeded()
        if self.breaker.passes() is passed:
            return
        if passed:
            self._opened.set()
        await self._changed()


def retry_after_s(value: str) -> float:
    """Seconds from a Retry-After header, within [0, 60]; 1 when it is absent, a date or nonsense."""
    try:
        seconds = float(value)
    except ValueError:
        return _DEFAULT_RETRY_AFTER_S
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S) if math.isfinite(seconds) else _DEFAULT_RETRY_AFTER_S


def _say(error: BaseException) -> str:
    return str(error) or type(error).__name__
