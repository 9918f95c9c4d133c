"""Crypto from any exchange that ccxt streams: best bids and asks, and trades, over its public WebSockets, without a key.

ccxt keeps the latest of everything; this reads what has changed each time it says so. Prices that came and went within one turn of
the event loop are therefore not seen, trades always are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from common.errors import ConfigError
from common.model.time import NS_PER_SECOND
from market_data.adapters.reconnecting import LostError, Reconnecting
from market_data.adapters.retry import Backoff, retry_after_s
from market_data.adapters.timestamps import from_ms
from market_data.instruments import PERPETUAL
from market_data.live.connection import Clock, Connected, FeedEvent, Heartbeat, Malformed, QuoteSeen, TradeSeen
from market_data.live.settings import FeedSettings

PING_S: Final = 5.0
PRICE_S: Final = 300.0  # a subscription that an exchange has forgotten; markets here never close
_QUEUE: Final = 10_000
_REMEMBERED: Final = 10_000  # ids of trades
_PAST_NS: Final = 5 * NS_PER_SECOND  # older than the connection by so much: history that a venue sends along
_EACH: Final = frozenset({"coinbase"})  # a quote channel of one symbol only is live there; that of many is 5 s old

Watch = Callable[[], Awaitable[Any]]
Read = Callable[[], list[FeedEvent]]


def connect(
    feed: FeedSettings, clock: Clock, seed: int, *, ping_s: float = PING_S, price_s: float = PRICE_S
) -> Reconnecting:
    """`feed.adapter` is ccxt's name of the exchange. Raises ConfigError where ccxt is not installed or does not stream it."""
    try:
        from ccxt import pro  # type: ignore[import-untyped]
    except ImportError:
        raise ConfigError(
            f"market_data.feeds: {feed.name}: crypto exchanges need ccxt, which is not installed: add the extra `crypto`"
            " (pip install 'ballast-market-data[crypto]')"
        ) from None
    if feed.adapter not in pro.exchanges:
        raise ConfigError(f"market_data.feeds: {feed.name}: adapter {feed.adapter!r}: ccxt does not stream it")
    if perpetuals := [symbol for symbol in feed.symbols if symbol.endswith(PERPETUAL)]:
        raise ConfigError(f"market_data.feeds: {feed.name}: {', '.join(perpetuals)}: only spot is streamed")
    exchange = _exchange(getattr(pro, feed.adapter), feed.url, ping_s)  # keeps what it listed from session to session

    def session() -> AsyncGenerator[FeedEvent, None]:
        return _Stream(exchange, feed.symbols, clock, ping_s).events()

    backoff = Backoff(key=feed.name, seed=seed)
    return Reconnecting(feed.name, session, clock, backoff=backoff, silence_s=3 * ping_s, price_s=price_s)


def _exchange(kind: Any, url: str, ping_s: float) -> Any:
    """ccxt's exchange, at another address where `url` names one."""
    config = {"enableRateLimit": True, "newUpdates": True, "options": {"ws": {"keepAlive": ping_s * 1000}}}
    exchange = kind({**config, "enableLastHttpResponse": False})  # megabytes, kept for nobody
    exchange.timeout_on_exit = 0  # a lost connection is said at once
    exchange.has["fetchCurrencies"] = False  # of use only for deposits and withdrawals
    if isinstance(exchange.options.get("fetchMarkets"), dict):
        exchange.options["fetchMarkets"]["types"] = ["spot"]
    if url:
        exchange.urls["api"] = _moved(exchange.urls["api"], urlsplit(url).netloc, secure=url.startswith("https"))
    return exchange


def _moved(urls: Any, host: str, *, secure: bool) -> Any:
    if isinstance(urls, dict):
        return {key: _moved(value, host, secure=secure) for key, value in urls.items()}
    parts = urlsplit(urls)
    scheme = ("ws" if parts.scheme.startswith("ws") else "http") + ("s" if secure else "")
    return parts._replace(scheme=scheme, netloc=host).geturl()


def _retrieved(future: Callable[[str], Any], name: str) -> Any:
    """The future that ccxt makes of `name`. When a connection breaks it fails them all, also those nobody waits for, which asyncio
    would report as forgotten.
    """
    made = future(name)
    made.add_done_callback(lambda done: done.cancelled() or done.exception())
    return made


class _Stream:
    """One session: tasks that wait for ccxt, a queue of what they saw."""

    def __init__(self, exchange: Any, symbols: tuple[str, ...], clock: Clock, ping_s: float) -> None:
        self._exchange = exchange
        self._ours = {symbol.replace("-", "/"): symbol for symbol in symbols}
        self._clock = clock
        self._ping_s = ping_s
        self._queue: asyncio.Queue[FeedEvent | LostError] = asyncio.Queue(_QUEUE)
        self._heard = False  # any frame at all since last asked
        self._alive = False  # any frame at all in this session
        self._since = 0  # what is older was before the subscription
        self._seen: dict[str, Any] = {}
        self._ids: dict[tuple[str, str], None] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def events(self) -> AsyncGenerator[FeedEvent, None]:
        self._exchange.clean_ws_data()
        self._exchange.bidsasks.clear()
        try:
            for missing in await self._load():
                yield missing
            self._guard()
            self._begin()
            while True:
                event = await self._next()
                if isinstance(event, LostError):
                    raise event
                if event is not None:
                    yield event
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            with contextlib.suppress(Exception):  # it is over either way
                await self._exchange.close()

    async def _next(self) -> FeedEvent | LostError | None:
        """None when nothing came, not even a frame, for one ping."""
        try:
            async with asyncio.timeout(self._ping_s):
                return await self._queue.get()
        except TimeoutError:
            heard, self._heard = self._heard, False
            return Heartbeat(ts_received=self._clock()) if heard else None

    async def _load(self) -> list[Malformed]:
        """Loads what the exchange lists and keeps what is ours; what of ours it does not list."""
        try:
            listed = await self._exchange.load_markets()
        except Exception as error:  # noqa: BLE001 - ccxt raises what its parsers run into
            raise self._lost(error) from None
        absent = [symbol for symbol in self._ours if symbol not in listed]
        if len(absent) == len(self._ours):
            raise LostError(f"{self._exchange.id} lists none of {', '.join(self._ours.values())}")
        now, detail = self._clock(), "not listed at this exchange"
        missing = [Malformed(ts_received=now, symbol=self._ours.pop(symbol), detail=detail) for symbol in absent]
        self._exchange.set_markets([listed[symbol] for symbol in self._ours])
        self._exchange.markets_loading = None  # holds on to thousands of others
        return missing

    def _begin(self) -> None:
        exchange, symbols = self._exchange, list(self._ours)
        self._since = self._clock() - _PAST_NS  # not earlier: what an exchange lists can take a minute to load
        each = exchange.id in _EACH or not exchange.has.get("watchBidsAsks")
        watches = [partial(exchange.watch_ticker, symbol) for symbol in symbols] if each else []
        watches = watches or [partial(exchange.watch_bids_asks, symbols)]
        loops = [self._loop(watch, self._quotes) for watch in watches]
        loops.append(self._loop(partial(exchange.watch_trades_for_symbols, symbols), self._trades))
        self._tasks = [asyncio.create_task(loop) for loop in loops]

    async def _loop(self, watch: Watch, read: Read) -> None:
        """For ever: waits for news and queues them; what ends the connection is the last word."""
        try:
            while True:
                await watch()
                for event in read():
                    await self._queue.put(event)
        except Exception as error:  # noqa: BLE001 - ccxt raises what its parsers run into
            await self._queue.put(self._lost(error))

    # --- what ccxt does not do --------------------------------------------------------------------------------------
    def _guard(self) -> None:
        """A message that ccxt cannot read would end its reading for ever, without a word: here it costs only itself."""
        open_client = type(self._exchange).client

        def client(url: str) -> Any:
            known = url in (self._exchange.clients or {})
            made = open_client(self._exchange, url)
            if not known:
                made.handle_message = self._guarded(made.handle_message)
                made.future = partial(_retrieved, made.future)
            return made

        self._exchange.client = client

    def _guarded(self, handle: Callable[[Any], None]) -> Callable[[Any], None]:
        from aiohttp import WSMsgType
        from ccxt import BaseError

        def guarded(frame: Any) -> None:
            if not self._alive:
                self._put(Connected(ts_received=self._clock()))
            self._heard = self._alive = True
            if frame.type == WSMsgType.TEXT and frame.data[:1] not in {"{", "["}:
                self._put(Malformed(ts_received=self._clock(), detail="no JSON"))
                return
            try:
                handle(frame)
            except BaseError as error:  # the exchange's own word: it refuses a subscription
                self._put(self._lost(error))
            except Exception as error:  # noqa: BLE001 - ccxt raises what its parsers run into
                self._put(Malformed(ts_received=self._clock(), detail=type(error).__name__))

        return guarded

    def _put(self, event: FeedEvent | LostError) -> None:
        with contextlib.suppress(asyncio.QueueFull):  # then there is enough to judge the feed by
            self._queue.put_nowait(event)

    def _lost(self, error: BaseException) -> LostError:
        """In a few words, and with the pause that the exchange asks for."""
        from ccxt import DDoSProtection, RateLimitExceeded

        cause = error.args[0] if error.args else None
        status = getattr(cause, "status", None)
        headers = getattr(cause, "headers", None)
        if isinstance(error, DDoSProtection | RateLimitExceeded):
            status, headers = 429, self._exchange.last_response_headers
        said = f"HTTP {status}" if status else type(error).__name__
        return LostError(
            f"{self._exchange.id}: {said}", retry_after_s((headers or {}).get("Retry-After"), self._clock())
        )

    # --- what ccxt made of the messages -----------------------------------------------------------------------------
    def _quotes(self) -> list[FeedEvent]:
        """Of every symbol whose latest quote is not the one seen last."""
        found: list[FeedEvent] = []
        for name, symbol in self._ours.items():
            ticker = self._exchange.bidsasks.get(name) or self._exchange.tickers.get(name)
            if ticker is None or ticker is self._seen.get(name):
                continue
            self._seen[name] = ticker
            found.append(self._quote(symbol, ticker))
        return found

    def _quote(self, symbol: str, ticker: Any) -> FeedEvent:
        now, bid, ask = self._clock(), ticker.get("bid"), ticker.get("ask")
        if bid is None or ask is None:
            return Malformed(ts_received=now, symbol=symbol, detail=f"bid {bid!r:.20}, ask {ask!r:.20}")
        return QuoteSeen(
            symbol=symbol,
            ts_received=now,
            ts_venue=from_ms(ticker.get("timestamp")),
            bid=float(bid),
            ask=float(ask),
            bid_size=float(ticker.get("bidVolume") or 0),
            ask_size=float(ticker.get("askVolume") or 0),
        )

    def _trades(self) -> list[FeedEvent]:
        """Of every symbol what came since it was last asked for news; history and what was seen already left out."""
        found: list[FeedEvent] = []
        for name, symbol in self._ours.items():
            cache = self._exchange.trades.get(name)
            for trade in cache[-(cache.getLimit(name, None) or 1) :] if cache else ():
                event = self._trade(symbol, trade)
                if isinstance(event, TradeSeen) and (0 < event.ts_venue < self._since or self._repeats(event)):
                    continue
                found.append(event)
        return found

    def _repeats(self, event: TradeSeen) -> bool:
        key = (event.symbol, event.trade_id)
        if not event.trade_id or key in self._ids:
            return bool(event.trade_id)
        self._ids[key] = None
        if len(self._ids) > _REMEMBERED:
            del self._ids[next(iter(self._ids))]
        return False

    def _trade(self, symbol: str, trade: Any) -> FeedEvent:
        now, px, qty = self._clock(), trade.get("price"), trade.get("amount")
        if px is None or qty is None:
            return Malformed(ts_received=now, symbol=symbol, detail=f"price {px!r:.20}, amount {qty!r:.20}")
        ts_venue = from_ms(trade.get("timestamp"))
        trade_id = str(trade.get("id") or "")
        return TradeSeen(
            symbol=symbol, ts_received=now, ts_venue=ts_venue, px=float(px), qty=float(qty), trade_id=trade_id
        )
