"""The only way to a venue's past: one queue, a token bucket, a circuit breaker, patience, and a record of how long answers take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import httpx
import msgspec

from common.breaker import Breaker, Circuit
from common.errors import DataError
from common.model.time import NS_PER_SECOND
from market_data.adapters.retry import Backoff, http_date_ns, retry_after_s
from market_data.backfill.response_times import ResponseTimes
from market_data.backfill.token_bucket import TokenBucket
from market_data.backfill.venue import Limit

T = TypeVar("T")

_BUSY: Final = frozenset({418, 429})  # 418 is Binance's: whoever goes on after 429 is locked out
_BROKEN: Final = 500
_POLL_NS: Final = 20_000_000
_UNREADABLE: Final = "an answer that cannot be read"
_MEANING: Final = {
    400: "it does not know this symbol or span",
    401: "it refuses the key",
    403: "the key may not see this, or this place may not ask",
    404: "it does not know this symbol",
    451: "it does not answer from this country",
}


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How patient to be. Pauses double from `base_s` to `cap_s`; after `attempts` in vain it is over, after `first_attempts` where the
    venue has never answered: then it is the network, or the address.
    """

    attempts: int = 8
    first_attempts: int = 3
    base_s: float = 0.5
    cap_s: float = 60.0
    timeout_s: float = 30.0
    max_failures: int = 5
    cool_down_s: float = 5.0
    seed: int = 0


class Trouble(NamedTuple):
    """Why an answer is none, and the pause that the venue asks for."""

    reason: str
    pause_s: float = 0.0


class GaveUpError(DataError):
    """The venue did not answer in the end; what was had until then is kept."""


class Link:
    """`clock` is the wall clock in ns, for pauses that a venue names as dates. `venue_ns` is the venue's own, as of its last answer,
    to the second; None before it has named any.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        headers: dict[str, str],
        limit: Limit,
        settings: LinkSettings,
        clock: Callable[[], int],
    ) -> None:
        self._name = name
        self._settings = settings
        self._clock = clock
        self._bucket = TokenBucket(
            limit=limit.requests, window_ns=round(limit.window_s * NS_PER_SECOND), burst=limit.burst
        )
        self._breaker = Breaker(
            max_failures=settings.max_failures, cool_down_s=settings.cool_down_s, max_cool_down_s=settings.cap_s
        )
        self._queue = asyncio.Lock()  # first come, first served
        self.times = ResponseTimes()
        self.requests = 0
        self.failures = 0
        self.breaker_opened = 0
        self._answered = False
        self.venue_ns: int | None = None
        self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=settings.timeout_s)

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, what: str, path: str, query: dict[str, str], read: Callable[[bytes], T]) -> T:
        """What `read` makes of the answer. Raises DataError, naming `what` was asked for, when it is refused, and GaveUpError after too
        many failures.
        """
        settings = self._settings
        key = f"{self._name}{path}{sorted(query.items())}"  # pages that failed together do not come back together
        backoff = Backoff(key=key, seed=settings.seed, base_s=settings.base_s, cap_s=settings.cap_s)
        attempt = 0
        while True:
            attempt += 1
            found = await self._try(what, path, query, read)
            if not isinstance(found, Trouble):
                self._breaker.succeeded()
                return found
            self._count(found)
            if attempt >= (settings.attempts if self._answered else settings.first_attempts):
                raise GaveUpError(f"{self._name}: gave up after {attempt} attempts: {found.reason}")
            await asyncio.sleep(backoff.pause_s(attempt, found.pause_s))

    async def _try(self, what: str, path: str, query: dict[str, str], read: Callable[[bytes], T]) -> T | Trouble:
        await self._turn()
        self.requests += 1
        began = time.monotonic_ns()
        try:
            answer = await self._client.get(path, params=query)
        except httpx.DecodingError:  # it says gzip and is none
            self._answered = True
            return Trouble(_UNREADABLE)
        except httpx.RequestError as error:
            return Trouble(f"no answer: {type(error).__name__}")
        self._answered = True
        self.venue_ns = http_date_ns(answer.headers.get("Date")) or self.venue_ns
        self.times.record((time.monotonic_ns() - began) / 1e6)
        if trouble := self._judge(what, answer):
            return trouble
        try:
            return read(answer.content)
        except (msgspec.DecodeError, LookupError, TypeError, ValueError, AttributeError, StopIteration, RecursionError):
            return Trouble(_UNREADABLE)

    async def _turn(self) -> None:
        """Until it is our turn, the rate allows it, and the breaker lets it pass."""
        async with self._queue:
            while wait_ns := self._wait_ns(time.monotonic_ns()):  # noqa: ASYNC110 - what is waited for is time
                await asyncio.sleep(wait_ns / NS_PER_SECOND)
            self._bucket.take(time.monotonic_ns())

    def _wait_ns(self, now: int) -> int:
        if wait_ns := self._bucket.wait_ns(now):
            return wait_ns
        seconds = now / NS_PER_SECOND
        if self._breaker.passes() or self._breaker.probe(seconds):
            return 0
        return max(round(self._breaker.opens_in(seconds) * NS_PER_SECOND), _POLL_NS)

    def _judge(self, what: str, answer: httpx.Response) -> Trouble | None:
        """None for a good one. Raises DataError where asking again is no use."""
        status = answer.status_code
        if status == httpx.codes.OK:
            return None
        pause_s = retry_after_s(answer.headers.get("Retry-After"), self._clock())
        if status in _BUSY:
            return Trouble(f"HTTP {status}: too many requests", pause_s or self._settings.base_s)
        if status >= _BROKEN or status == httpx.codes.REQUEST_TIMEOUT:
            return Trouble(f"HTTP {status}", pause_s)
        self._breaker.succeeded()
        # The body is not shown: it may repeat what was asked, the key too.
        raise DataError(f"{self._name}: {what}: HTTP {status}: {_MEANING.get(status, 'refused')}")

    def _count(self, trouble: Trouble) -> None:
        """A venue that names a pause is alive: that is obeyed, and nothing held against it."""
        if trouble.pause_s:
            self._bucket.pause(time.monotonic_ns(), round(trouble.pause_s * NS_PER_SECOND))
            self._breaker.succeeded()
            return
        self.failures += 1
        was = self._breaker.circuit
        self._breaker.failed(time.monotonic())
        self.breaker_opened += was is not Circuit.OPEN and self._breaker.circuit is Circuit.OPEN

    def summary(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "failures": self.failures,
            "breaker_opened": self.breaker_opened,
            "response_times": self.times.summary(),
        }
