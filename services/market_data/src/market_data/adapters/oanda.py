"""FX from OANDA: its v20 pricing stream, one JSON object a line (developer.oanda.com/rest-live-v20/pricing-ep). Needs a token, as text
in `key_file`, and the number of an account.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

import httpx
import msgspec

from common.errors import ConfigError
from market_data.adapters.reconnecting import LostError, Reconnecting
from market_data.adapters.retry import Backoff, retry_after_s
from market_data.adapters.secrets import read_key
from market_data.adapters.timestamps import rfc3339_ns
from market_data.live.connection import Clock, Connected, FeedEvent, Heartbeat, Malformed, QuoteSeen
from market_data.live.settings import FeedSettings

URL: Final = "https://stream-fxpractice.oanda.com"
SILENCE_S: Final = 12.0  # a heartbeat comes every 5 s
_CONNECT_S: Final = 10.0
_LONGEST_LINE: Final = 1 << 20
_MEANING: Final = {
    400: "it does not know one of these symbols",
    401: "the token is refused",
    403: "the token may not read this account",
    404: "no such account",
}


def connect(feed: FeedSettings, clock: Clock, seed: int, *, silence_s: float = SILENCE_S) -> Reconnecting:
    """Raises ConfigError without a token or an account."""
    if not feed.account:
        raise ConfigError(f"market_data.feeds: {feed.name}: account is not set; OANDA streams the prices of an account")
    token = read_key(feed.name, feed.key_file, str)
    url = f"{(feed.url or URL).rstrip('/')}/v3/accounts/{feed.account}/pricing/stream"

    def session() -> AsyncGenerator[FeedEvent, None]:
        return _session(url, token, feed.symbols, clock)

    return Reconnecting(feed.name, session, clock, backoff=Backoff(key=feed.name, seed=seed), silence_s=silence_s)


async def _session(url: str, token: str, symbols: tuple[str, ...], clock: Clock) -> AsyncGenerator[FeedEvent, None]:
    query = {"instruments": ",".join(symbol.replace("-", "_") for symbol in symbols)}
    headers = {"Authorization": f"Bearer {token}", "Accept-Datetime-Format": "RFC3339"}
    timeout = httpx.Timeout(_CONNECT_S, read=None)  # how long it may be silent is judged by `Reconnecting`
    try:
        async with (
            httpx.AsyncClient(timeout=timeout) as client,
            client.stream("GET", url, params=query, headers=headers) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise refused(answer, clock())
            yield Connected(ts_received=clock())
            async for line in _lines(answer):
                yield translate(line, clock())
    except httpx.RequestError as error:
        raise LostError(f"no connection: {type(error).__name__}") from None


def refused(answer: httpx.Response, now_ns: int) -> LostError:
    """Why an answer is none, without its body: that could repeat what was asked."""
    meaning = _MEANING.get(answer.status_code)
    reason = f"HTTP {answer.status_code}" + (f": {meaning}" if meaning else "")
    return LostError(reason, retry_after_s(answer.headers.get("Retry-After"), now_ns))


async def _lines(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Whole lines, empty ones left out. Raises LostError for one that does not end."""
    rest = b""
    async for chunk in answer.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if stripped := line.strip():
                yield stripped
        if len(rest) > _LONGEST_LINE:
            raise LostError("a line without an end")


def translate(line: bytes, now_ns: int) -> FeedEvent:
    """A price at which nobody can trade (weekend, no liquidity) is a sign of life and no quote."""
    symbol = ""
    try:
        said = msgspec.json.decode(line)
        if said["type"] == "HEARTBEAT":
            return Heartbeat(ts_received=now_ns, ts_venue=rfc3339_ns(said["time"]))
        if said["type"] != "PRICE":
            return Malformed(ts_received=now_ns, detail=f"type {said['type']!r:.40}")
        symbol = said["instrument"].replace("_", "-")
        ts_venue = rfc3339_ns(said["time"])
        if not said.get("tradeable", True) or not (said["bids"] and said["asks"]):
            return Heartbeat(ts_received=now_ns, ts_venue=ts_venue)
        return _quote(symbol, said["bids"][0], said["asks"][0], ts_venue, now_ns)
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        return Malformed(ts_received=now_ns, symbol=symbol, detail=f"{type(error).__name__}: {error}"[:120])


def _quote(symbol: str, bid: Any, ask: Any, ts_venue: int, now_ns: int) -> QuoteSeen:
    return QuoteSeen(
        symbol=symbol,
        ts_received=now_ns,
        ts_venue=ts_venue,
        bid=float(bid["price"]),
        ask=float(ask["price"]),
        bid_size=float(bid.get("liquidity", 0)),
        ask_size=float(ask.get("liquidity", 0)),
    )
