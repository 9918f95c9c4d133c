"""Venues to connect to, on this machine: each speaks its own protocol (support.feed_messages) and misbehaves on demand.

async with serving("kraken", ["BTC-USD"]) as server:
    ... feed.url = server.url; server.fault = Fault.SILENCE; server.fault = None
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from support.feed_messages import LISTINGS, WORDINGS, Tick

KEY = {"key": "AK-public-half", "secret": "SK-never-shown"}
TOKEN = "token-never-shown"
ACCOUNT = "101-004-1234567-001"
_FIRST_PX = {"BTC": 60_000.0, "ETH": 2_500.0, "EUR": 1.10, "GBP": 1.27}


class Fault(StrEnum):
    SILENCE = "SILENCE"  # the connection stands, nothing comes, no ping is answered
    DISCONNECT = "DISCONNECT"  # connections are cut, and new ones at once
    FREEZE = "FREEZE"  # heartbeats without prices
    DRIFT = "DRIFT"  # prices off by `size` basis points
    CROSSED = "CROSSED"
    SKEW = "SKEW"  # the venue's clock is `size` seconds behind
    DUPLICATES = "DUPLICATES"  # every message `size` times
    MALFORMED = "MALFORMED"  # what cannot be read, among what can
    SLOW = "SLOW"  # answers to a new connection after `size` seconds
    UNAUTHORIZED = "UNAUTHORIZED"
    RATE_LIMIT = "RATE_LIMIT"  # 429 to new connections, Retry-After `size` seconds


class FeedServer:
    """`fault` and `size` hold from the next message on. `connections` counts those ever asked for, `asked` keeps what was said."""

    def __init__(self, protocol: str, symbols: Sequence[str], every_s: float = 0.02) -> None:
        self.protocol = protocol
        self.symbols = list(symbols)
        self.every_s = every_s
        self.fault: Fault | None = None
        self.size = 2.0
        self.market_closed = False
        self.connections = 0
        self.asked: list[Any] = []
        self.url = ""
        self.wording = WORDINGS[protocol]()
        self._number = 0
        self._open: set[asyncio.Transport] = set()

    # --- the made-up market -----------------------------------------------------------------------------------------
    def tick(self, symbol: str) -> Tick:
        """The next quote: within a basis point of its first price, and never the one before."""
        self._number += 1
        mid = _FIRST_PX.get(symbol.split("-", maxsplit=1)[0], 100.0) * (1 + ((self._number * 37) % 101 - 50) * 1e-6)
        mid *= 1 + self.size / 1e4 if self.fault is Fault.DRIFT else 1.0
        ts_ns = time.time_ns() - (round(self.size * 1e9) if self.fault is Fault.SKEW else 0)
        half = mid * 2e-5 * (-1 if self.fault is Fault.CROSSED else 1)
        return Tick(symbol, self._number, round(mid - half, 5), round(mid + half, 5), ts_ns)

    def news(self, wanted: set[tuple[str, str]]) -> list[str]:
        """What is said now to who asked for these kinds of news of these symbols."""
        if self.fault is Fault.SILENCE:
            return []
        if self.fault is Fault.FREEZE:
            return list(self.wording.heartbeat(time.time_ns()))
        said: list[str] = []
        for symbol in self.symbols:
            tick = self.tick(symbol)
            if self.market_closed:
                said.append(self.wording.closed(tick))  # type: ignore[attr-defined]
                continue
            quoted = self.fault is Fault.MALFORMED and ("quote", symbol) in wanted
            said += self.wording.quote(tick) if ("quote", symbol) in wanted else []
            said += self.wording.trade(tick) if ("trade", symbol) in wanted else []
            said += self.wording.malformed(tick) if quoted else []
        return said * (round(self.size) if self.fault is Fault.DUPLICATES else 1)

    # --- HTTP -------------------------------------------------------------------------------------------------------
    def app(self) -> web.Application:
        app = web.Application()
        if listing := LISTINGS.get(self.protocol):
            path, words = listing
            app.router.add_get(path, self._listing(words))
        if self.protocol == "oanda":
            app.router.add_get("/v3/accounts/{account}/pricing/stream", self._lines)
        app.router.add_get("/{path:.*}", self._socket)
        return app

    def _listing(self, words: Any) -> Any:
        async def answer(request: web.Request) -> web.StreamResponse:
            derivatives = request.query.get("product_type") == "FUTURE"  # Coinbase lists them at the same address
            return await self._refuse(request) or web.json_response(words([] if derivatives else self.symbols))

        return answer

    async def _refuse(self, request: web.Request) -> web.Response | None:
        match self.fault:
            case Fault.RATE_LIMIT:
                return web.Response(status=429, headers={"Retry-After": f"{self.size:g}"}, text="slow down")
            case Fault.SLOW:
                await asyncio.sleep(self.size)
            case Fault.DISCONNECT if isinstance(request.transport, asyncio.Transport):
                request.transport.abort()
                return web.Response(status=503)
        return None

    async def _lines(self, request: web.Request) -> web.StreamResponse:
        """OANDA: a response that never ends."""
        self.connections += 1
        self.asked.append({"account": request.match_info["account"], **request.query})
        if refusal := await self._refuse(request):
            return refusal
        if self.fault is Fault.UNAUTHORIZED or request.headers.get("Authorization") != f"Bearer {TOKEN}":
            sent = request.headers.get("Authorization")
            return web.json_response({"errorMessage": f"Insufficient authorization: {sent}"}, status=401)
        stream = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await stream.prepare(request)
        with self._counted(request):
            while True:
                for line in self.news({("quote", symbol) for symbol in self.symbols}):
                    await stream.write(line.encode() + b"\n")
                await asyncio.sleep(self.every_s)
        return stream

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        self.connections += 1
        if refusal := await self._refuse(request):
            return refusal
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        wanted: set[tuple[str, str]] = set()
        pump = asyncio.create_task(self._pump(socket, wanted))
        with self._counted(request):
            try:
                if self.protocol == "alpaca":
                    await socket.send_str('[{"T":"success","msg":"connected"}]')
                async for frame in socket:
                    if frame.type is WSMsgType.PING and self.fault is not Fault.SILENCE:
                        await socket.pong(frame.data)
                    if frame.type is WSMsgType.TEXT:
                        await self._answer(socket, frame.data, wanted)
            finally:
                pump.cancel()
                await asyncio.gather(pump, return_exceptions=True)
        return socket

    async def _answer(self, socket: web.WebSocketResponse, text: str, wanted: set[tuple[str, str]]) -> None:
        asked = msgspec.json.decode(text)
        self.asked.append(asked)
        if self.fault is Fault.SILENCE:
            return
        if asked.get("method") == "ping":
            await socket.send_str('{"method":"pong"}')
            return
        refused = self.fault is Fault.UNAUTHORIZED or (
            asked.get("action") == "auth" and not KEY.items() <= asked.items()
        )
        if refused:
            await socket.send_str(f'[{{"T":"error","code":402,"msg":"auth failed for {asked.get("secret")}"}}]')
            return
        for said in self.wording.subscribed(asked):
            await socket.send_str(said)
        if asked.get("action") != "auth":
            wanted |= (new := self._wanted(text))
            recent = sorted(symbol for kind, symbol in new if kind == "trade" and self.protocol in LISTINGS)
            for symbol in recent:  # exchanges send their last trades along
                for said in self.wording.trade(self.tick(symbol)._replace(ts_ns=time.time_ns() - 3600 * 10**9)):
                    await socket.send_str(said)

    def _wanted(self, text: str) -> set[tuple[str, str]]:
        """Whatever a venue calls it: `BTC/USD`, `btcusdt@bookTicker`."""
        plain = re.sub(r"[^A-Z0-9]", "", text.upper())
        words = (("quote", "TICKER"), ("quote", "QUOTES"), ("trade", "TRADE"))
        kinds = {kind for kind, word in words if word in plain}
        return {(kind, symbol) for kind in kinds for symbol in self.symbols if symbol.replace("-", "") in plain}

    async def _pump(self, socket: web.WebSocketResponse, wanted: set[tuple[str, str]]) -> None:
        with contextlib.suppress(ConnectionError):
            while not socket.closed:
                for said in self.news(wanted) if wanted else ():
                    await socket.send_str(said)
                await asyncio.sleep(self.every_s)

    @contextlib.contextmanager
    def _counted(self, request: web.Request) -> Any:
        assert isinstance(request.transport, asyncio.Transport)
        transport = request.transport
        self._open.add(transport)
        try:
            yield
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(transport)

    def cut(self) -> None:
        """Ends every connection now, without a goodbye."""
        for transport in list(self._open):
            transport.abort()

    def misbehave(self, fault: Fault | None, size: float = 2.0) -> None:
        self.fault, self.size = fault, size
        if fault is Fault.DISCONNECT:
            self.cut()


@contextlib.asynccontextmanager
async def serving(
    protocol: str, symbols: Sequence[str] = ("BTC-USD",), *, every_s: float = 0.02, port: int = 0
) -> AsyncIterator[FeedServer]:
    """`kraken`, `binance`, `coinbase`, `alpaca` or `oanda`, in this event loop."""
    server = FeedServer(protocol, symbols, every_s)
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    host, bound = runner.addresses[0][:2]
    server.url = f"ws://{host}:{bound}/v2/iex" if protocol == "alpaca" else f"http://{host}:{bound}"
    try:
        yield server
    finally:
        server.cut()
        await runner.cleanup()
