"""US equities from Alpaca: its market data stream v2, JSON arrays over a WebSocket
(docs.alpaca.markets/docs/real-time-stock-pricing-data). Needs a key: `key_file` holds {"key": "…", "secret": "…"}.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from market_data.adapters.reconnecting import LostError, Reconnecting
from market_data.adapters.retry import Backoff, retry_after_s
from market_data.adapters.secrets import read_key
from market_data.adapters.timestamps import rfc3339_ns
from market_data.live.connection import Clock, Connected, FeedEvent, Heartbeat, Malformed, QuoteSeen, TradeSeen
from market_data.live.settings import FeedSettings

URL: Final = "wss://stream.data.alpaca.markets/v2/iex"
PING_S: Final = 5.0  # without a message for so long it is asked whether it is there
_ANSWER_S: Final = 10.0
_LARGEST: Final = 1 << 22
_REFUSALS: Final = {
    401: "not authenticated",
    402: "the key is refused",
    403: "already authenticated",
    404: "the key came too late",
    405: "more symbols than this subscription allows",
    406: "another connection uses this key",
    407: "we read too slowly",
    408: "v2 is not enabled for this key",
    409: "this subscription does not include the feed",
    410: "the subscription was not understood",
    500: "internal error of the venue",
}
# The library writes what it sends to its log at DEBUG, the key too.
_QUIET: Final = logging.getLogger("market_data.adapters.alpaca.websocket")
_QUIET.setLevel(logging.WARNING)


class Key(msgspec.Struct, frozen=True):
    """Of Alpaca's market data API. Never shown."""

    key: str
    secret: str

    def __repr__(self) -> str:
        return "Key(…)"


def connect(feed: FeedSettings, clock: Clock, seed: int, *, ping_s: float = PING_S) -> Reconnecting:
    """Raises ConfigError without a key."""
    key = read_key(feed.name, feed.key_file, Key)

    def session() -> AsyncGenerator[FeedEvent, None]:
        return _session(feed.url or URL, key, feed.symbols, clock, ping_s)

    return Reconnecting(feed.name, session, clock, backoff=Backoff(key=feed.name, seed=seed), silence_s=3 * ping_s)


async def _session(
    url: str, key: Key, symbols: tuple[str, ...], clock: Clock, ping_s: float
) -> AsyncGenerator[FeedEvent, None]:
    try:
        async with open_socket(
            url, logger=_QUIET, ping_interval=None, open_timeout=_ANSWER_S, close_timeout=1, max_size=_LARGEST
        ) as socket:
            async with asyncio.timeout(_ANSWER_S):
                await _subscribe(socket, key, symbols)
            yield Connected(ts_received=clock())
            while True:
                try:
                    text = await asyncio.wait_for(socket.recv(), ping_s)
                except TimeoutError:
                    await asyncio.wait_for(await socket.ping(), ping_s)
                    yield Heartbeat(ts_received=clock())
                    continue
                for event in translate(text, clock()):
                    yield event
    except InvalidStatus as error:
        answer = error.response
        pause_s = retry_after_s(answer.headers.get("Retry-After"), clock())
        raise LostError(f"HTTP {answer.status_code}", pause_s) from None
    except ConnectionClosed as error:
        raise LostError(f"closed with code {error.rcvd.code if error.rcvd else 1006}") from None
    except (WebSocketException, OSError) as error:  # a timeout is an OSError
        raise LostError(f"no connection: {type(error).__name__}") from None


async def _subscribe(socket: ClientConnection, key: Key, symbols: tuple[str, ...]) -> None:
    await _heard(socket, "success", "connected")
    await _send(socket, {"action": "auth", "key": key.key, "secret": key.secret})
    await _heard(socket, "success", "authenticated")
    names = [symbol.replace("-", ".") for symbol in symbols]
    await _send(socket, {"action": "subscribe", "quotes": names, "trades": names})
    await _heard(socket, "subscription", None)


async def _send(socket: ClientConnection, message: Mapping[str, Any]) -> None:
    await socket.send(msgspec.json.encode(message).decode())


async def _heard(socket: ClientConnection, kind: str, said: str | None) -> None:
    """The next message is what was expected. Raises LostError for anything else."""
    try:
        first = msgspec.json.decode(await socket.recv())[0]
        if first["T"] == "error":
            raise _refusal(first)
        if first["T"] == kind and (said is None or first["msg"] == said):
            return
    except (msgspec.DecodeError, KeyError, TypeError, IndexError, RecursionError):
        pass
    raise LostError(f"expected {said or kind!r}, heard something else")


def _refusal(message: Mapping[str, Any]) -> LostError:
    code = message.get("code")
    return LostError(f"error {code!r:.10}: {_REFUSALS.get(code, 'unknown')}")  # type: ignore[arg-type]


def translate(text: str | bytes, now_ns: int) -> Iterator[FeedEvent]:
    """What a message of any number of items says, in order; an item that cannot be read costs only itself. Raises LostError for the
    venue's own refusal.
    """
    try:
        items = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        yield Malformed(ts_received=now_ns, detail=f"{error}"[:120])
        return
    for item in items if isinstance(items, list) else [items]:
        try:
            if item["T"] == "error":
                raise _refusal(item)
            if reader := _READERS.get(item["T"]):
                yield reader(item, now_ns)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            symbol = item.get("S", "") if isinstance(item, dict) else ""
            detail = f"{type(error).__name__}: {error}"[:120]
            yield Malformed(ts_received=now_ns, symbol=_ours(symbol), detail=detail)


def _ours(symbol: Any) -> str:
    return symbol.replace(".", "-") if isinstance(symbol, str) else ""


def _quote(item: Mapping[str, Any], now_ns: int) -> QuoteSeen:
    return QuoteSeen(
        symbol=_ours(item["S"]),
        ts_received=now_ns,
        ts_venue=rfc3339_ns(item["t"]),
        bid=float(item["bp"]),
        ask=float(item["ap"]),
        bid_size=float(item.get("bs", 0)),
        ask_size=float(item.get("as", 0)),
    )


def _trade(item: Mapping[str, Any], now_ns: int) -> TradeSeen:
    return TradeSeen(
        symbol=_ours(item["S"]),
        ts_received=now_ns,
        ts_venue=rfc3339_ns(item["t"]),
        px=float(item["p"]),
        qty=float(item.get("s", 0)),
        trade_id=str(item.get("i", "")),
    )


# Messages of other kinds (bars, statuses, corrections) are none of prices and are passed over.
_READERS: Final[Mapping[str, Callable[[Mapping[str, Any], int], FeedEvent]]] = {"q": _quote, "t": _trade}
