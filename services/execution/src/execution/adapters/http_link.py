"""Requests to a venue over HTTP, sent at most once each, and what can be said for certain about each of them.

Refused here without being sent: without a valid lease; orders while the circuit breaker is open; beyond the rate limit. What
takes orders off the market or only asks passes an open breaker, and has tokens kept for it. Only so many requests are under way;
the others wait a little, and are judged when it is their turn.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final, NamedTuple

import httpx

from common.breaker import Breaker, Circuit
from common.runtime.tape import Fence
from execution.adapters.wire import TOKEN_HEADER, VALID_UNTIL_HEADER
from execution.rate_limit import RateLimit
from execution.venue_settings import VenueSettings

MAX_RETRY_AFTER_S: Final = 60.0
_DEFAULT_RETRY_AFTER_S: Final = 1.0
# Nothing was written yet when these happen; after any other trouble the venue may have read the request.
_BEFORE_SENDING: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_INSISTING: Final = 2  # connections beyond those counted
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
    """The venue certainly has not acted on it. `held_back`: it was us who had too much to ask, the venue has not failed."""

    reason: str
    retry_after_s: float = 0.0
    held_back: bool = False


class Unclear(NamedTuple):
    """The venue may have acted on it."""

    reason: str


Outcome = Answered | NotSent | Unclear


class Kind(StrEnum):
    """Of a request, by what it must not be kept waiting by."""

    ORDER = "ORDER"  # may add risk
    QUESTION = "QUESTION"
    EXIT = "EXIT"  # an order that reduces
    CANCEL = "CANCEL"

    @property
    def adds(self) -> bool:
        """Puts an order on the market."""
        return self in {Kind.ORDER, Kind.EXIT}

    @property
    def urgent(self) -> bool:
        """Takes risk away."""
        return self in {Kind.EXIT, Kind.CANCEL}


class HttpLink:
    """`changed` is called when the breaker opens or closes."""

    def __init__(self, settings: VenueSettings, fence: Fence, changed: Callable[[], Awaitable[None]]) -> None:
        self.breaker = Breaker(
            max_failures=settings.max_failures,
            cool_down_s=settings.cool_down_s,
            max_cool_down_s=settings.max_cool_down_s,
        )
        self._limit = RateLimit(per_s=settings.rate_per_s, burst=settings.burst)
        kept = max(settings.burst // 4, 1)
        self._kept = {Kind.ORDER: kept, Kind.QUESTION: kept / 2, Kind.EXIT: 0.0, Kind.CANCEL: 0.0}
        for_urgent = settings.max_in_flight // 4
        self._slots = {
            False: asyncio.Semaphore(settings.max_in_flight - for_urgent),
            True: asyncio.Semaphore(for_urgent),
        }
        self._patience_s = settings.request_timeout_s
        self._closed = False
        self._fence = fence
        self._changed = changed
        self._last_token = 0
        self._opened = asyncio.Event()
        self._longest_s = settings.connect_timeout_s + settings.request_timeout_s
        self._valid_ns = round(settings.request_timeout_s * 1e9)
        connections = settings.max_in_flight + _INSISTING
        self._client = httpx.AsyncClient(
            base_url=settings.url,
            timeout=httpx.Timeout(settings.request_timeout_s, connect=settings.connect_timeout_s),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            trust_env=False,
        )

    async def ask(
        self,
        kind: Kind,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Outcome:
        """Sends the request once. `wanted` is asked when it is its turn: what is not wanted any more is not sent."""
        slots = self._slots[kind.urgent]
        try:
            async with asyncio.timeout(self._patience_s):
                await slots.acquire()
        except TimeoutError:
            return NotSent("too many requests under way", self._patience_s, held_back=True)
        try:
            if self._closed or not wanted():
                return NotSent("not wanted any more")
            token = self._fence.token()
            if token is None:
                return NotSent("the lease is not held")
            self._last_token = token
            return self._refusal(kind, time.monotonic()) or await self._send(method, path, body, token)
        finally:
            slots.release()

    def _refusal(self, kind: Kind, now: float) -> NotSent | None:
        if kind.adds and not self.breaker.passes():
            return NotSent("circuit breaker open", self.breaker.opens_in(now))
        if wait_s := self._limit.take(now, reserve=self._kept[kind]):
            return NotSent("rate limit", wait_s, held_back=True)
        return None

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
                await self.ask(Kind.QUESTION, "GET", path)
                if self.breaker.circuit is Circuit.HALF_OPEN:  # not even sent: no lease, or the venue wants a pause
                    await self._count(failed=True)
            if self.breaker.passes():
                self._opened.clear()

    async def close(self) -> None:
        self._closed = True
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
