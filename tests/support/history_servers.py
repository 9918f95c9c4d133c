"""The past of venues, on this machine: their candles over HTTP as their public documentation shows them, of a made-up market.

A bar is absent where nothing was traded (every 17th), and the bar that is not over yet is there, as venues do it.
"""

from __future__ import annotations

import contextlib
import email.utils
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aiohttp import web

from support.feed_messages import stamp
from support.feed_servers import KEY, TOKEN

SECOND = 10**9
UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Bar(NamedTuple):
    ts_ns: int  # when it opens
    open: float
    high: float
    low: float
    close: float
    volume: float
    over: bool


def bar(ts_ns: int, length_ns: int, now_ns: int) -> Bar | None:
    """The bar of the made-up market that opens there; None where nothing was traded."""
    number = ts_ns // length_ns
    if number % 17 == 0:
        return None
    opened = 100 + number % 50 / 10
    prices = (round(opened + move, 2) for move in (0, 0.3, -0.2, 0.1))
    return Bar(ts_ns, *prices, 1.0 + number % 7, ts_ns + length_ns <= now_ns)


class HistoryServer:
    """`now_ns` is the end of its past. `troubles` are answers given instead of the next ones, in order."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns
        self.url = ""
        self.asked: list[dict[str, str]] = []
        self.asked_at: list[float] = []
        self.troubles: list[Callable[[], web.Response]] = []
        self.alpaca_page = 3

    def bars(self, first_ns: int, last_ns: int, length_ns: int) -> Iterator[Bar]:
        """Those that open from first to last, both included, and have opened."""
        start = -(-first_ns // length_ns) * length_ns
        for ts_ns in range(start, min(last_ns, self.now_ns) + 1, length_ns):
            if found := bar(ts_ns, length_ns, self.now_ns):
                yield found

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._noted])
        app.router.add_get("/api/v3/klines", self._binance)
        app.router.add_get("/products/{symbol}/candles", self._coinbase)
        app.router.add_get("/0/public/OHLC", self._kraken)
        app.router.add_get("/v3/instruments/{symbol}/candles", self._oanda)
        app.router.add_get("/v2/stocks/{symbol}/bars", self._alpaca)
        return app

    @web.middleware
    async def _noted(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append({"path": request.path, **request.query})
        self.asked_at.append(time.monotonic())
        if self.troubles:
            return self.troubles.pop(0)()
        answer: web.StreamResponse = await handler(request)
        return answer

    # --- the venues ---------------------------------------------------------------------------------------------
    async def _binance(self, request: web.Request) -> web.Response:
        asked = request.query
        if asked["symbol"] != "BTCUSDT":
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        length = int(asked["interval"][:-1]) * UNITS[asked["interval"][-1]] * SECOND
        found = self.bars(int(asked["startTime"]) * 10**6, int(asked["endTime"]) * 10**6, length)
        rows = [
            [one.ts_ns // 10**6, *map(_text, one[1:6]), (one.ts_ns + length) // 10**6 - 1, "1.0", 5, "1.0", "1.0", "0"]
            for one in found
        ]
        return web.json_response(rows[: min(int(asked["limit"]), 1000)])

    async def _coinbase(self, request: web.Request) -> web.Response:
        asked = request.query
        length = int(asked["granularity"]) * SECOND
        start, end = _ns(asked["start"]), _ns(asked["end"])
        if (end - start) // length >= 300:
            return web.json_response({"message": "granularity too small for the requested time range"}, status=400)
        found = [
            [one.ts_ns // SECOND, one.low, one.high, one.open, one.close, one.volume]
            for one in self.bars(start, end, length)
        ]
        return web.json_response(found[::-1])

    async def _kraken(self, request: web.Request) -> web.Response:
        asked = request.query
        if asked["pair"] != "XBTUSD":
            return web.json_response({"error": ["EQuery:Unknown asset pair"]})
        length = int(asked["interval"]) * 60 * SECOND
        since = max(int(asked["since"]) * SECOND + 1, (self.now_ns // length - 719) * length)
        rows = [
            [one.ts_ns // SECOND, *map(_text, one[1:5]), "100.0", _text(one.volume), 5]
            for one in self.bars(since, self.now_ns, length)
        ]
        return web.json_response({"error": [], "result": {"XXBTZUSD": rows, "last": self.now_ns // SECOND}})

    async def _oanda(self, request: web.Request) -> web.Response:
        asked = request.query
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"errorMessage": f"Insufficient authorization {request.headers}"}, status=401)
        units = {"M": "m", "H": "h", "D": "d", "W": "w"}
        name = asked["granularity"]
        length = int(name[1:] or 1) * UNITS[units[name[0]]] * SECOND
        start, end = _ns(asked["from"]), _ns(asked["to"])
        if (end - start) // length > 5000:
            return web.json_response({"errorMessage": "Maximum value for 'count' exceeded"}, status=400)
        candles = [
            {
                "complete": one.over,
                "volume": int(one.volume),
                "time": stamp(one.ts_ns),
                "bid": dict(zip("ohlc", (f"{px - 0.01:.5f}" for px in one[1:5]), strict=True)),
                "ask": dict(zip("ohlc", (f"{px + 0.01:.5f}" for px in one[1:5]), strict=True)),
            }
            for one in self.bars(start, end - 1, length)
        ]
        name = request.match_info["symbol"]
        return web.json_response({"instrument": name, "granularity": asked["granularity"], "candles": candles})

    async def _alpaca(self, request: web.Request) -> web.Response:
        asked = request.query
        if request.headers.get("APCA-API-SECRET-KEY") != KEY["secret"]:
            return web.json_response({"message": f"forbidden: {dict(request.headers)}"}, status=403)
        number, unit = re.fullmatch(r"(\d+)(Min|Hour|Day)", asked["timeframe"]).groups()  # type: ignore[union-attr]
        length = int(number) * {"Min": 60, "Hour": 3600, "Day": 86_400}[unit] * SECOND
        start = int(asked.get("page_token", 0)) or _ns(asked["start"])
        found = list(self.bars(start, _ns(asked["end"]), length))
        page, rest = found[: self.alpaca_page], found[self.alpaca_page :]
        bars = [
            {"t": stamp(one.ts_ns), "o": one.open, "h": one.high, "l": one.low, "c": one.close, "v": one.volume,
             "n": 17, "vw": 100.2}
            for one in page
        ]  # fmt: skip
        token = str(rest[0].ts_ns) if rest else None
        return web.json_response(
            {"bars": bars or None, "symbol": request.match_info["symbol"], "next_page_token": token}
        )


def _text(number: float) -> str:
    return f"{number:.8f}"


def _ns(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * SECOND


# --- what goes wrong -------------------------------------------------------------------------------------------------
def broken() -> web.Response:
    return web.Response(status=503, text="try again")


def garbage() -> web.Response:
    return web.Response(text="<html>maintenance</html>")


def wait_seconds(seconds: float) -> Callable[[], web.Response]:
    return lambda: web.Response(status=429, headers={"Retry-After": f"{seconds:g}"})


def wait_until(seconds: float) -> Callable[[], web.Response]:
    """As a date, which has whole seconds."""

    def answer() -> web.Response:
        at = datetime.fromtimestamp(time.time() + seconds, UTC)
        return web.Response(status=429, headers={"Retry-After": email.utils.format_datetime(at, usegmt=True)})

    return answer


@contextlib.asynccontextmanager
async def history(now_ns: int) -> AsyncIterator[HistoryServer]:
    """All five venues at one address, in this event loop."""
    server = HistoryServer(now_ns)
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()
