"""`ballast bench api`: the gateway under more open pages than anybody expects, and whether trading notices.

Ten people have the page open: that is what is expected. A page is one WebSocket on every topic, `health/services` every two
seconds, `status` every five, a few things every minute, and at the beginning and a second after each step of the market what has
changed (the chart after three), each on a connection of its own (a browser opens six). Everything stays on this machine and ends
by itself.
"""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import websockets

from ballast_cli.api_system import Steps, system
from common.errors import TapeError
from gateway.auth import USER

EXPECTED_USERS: Final = 10
LIMIT_MS: Final = 500.0
ANSWER_WITHIN_S: Final = 30.0
_API: Final = "/api/v1"
_MARKET: Final = "instrument_id=EUR-USD.ECB"  # one of the system's own; in another book the answers may be empty
_ON_TIME: Final = {"health/services": 2.0, "status": 5.0}
_EVERY_MINUTE: Final = (
    *("sessions", "regime/market", f"prices/profile?{_MARKET}", f"signals/thresholds?{_MARKET}&limit=1"),
    *("sessions/heatmap", "events?limit=8"),
)
_MINUTE_S: Final = 60.0
_ONE_BY_ONE_S: Final = 0.3  # between them at the beginning
_ON_NEWS: Final = {  # topic: what is asked for then, and how long after it, about
    "portfolio": {"positions": 1.0},
    "risk": {"portfolio/history?points=400": 1.0},
    "regime": {"regime/current": 1.0, f"regime/chart?{_MARKET}&timeframe=1d&points=300": 3.0},
    "orders": {"orders?limit=60": 1.0},
}


class Frame(msgspec.Struct):
    """What a page must know of a frame of the stream."""

    topic: str
    seq: int


class Gateway(NamedTuple):
    """Where it is and how one gets in."""

    port: int
    password: str

    @property
    def authorization(self) -> str:
        return "Basic " + base64.b64encode(f"{USER}:{self.password}".encode()).decode()


class Seen:
    """What all pages have seen. Times of answers are in ms, from when a page wanted it."""

    def __init__(self, steps: Steps) -> None:
        self.answers: dict[str, list[float]] = {}
        self.errors: dict[str, int] = {}
        self.lags: list[float] = []
        self.frames = 0
        self.dropped = 0
        self._steps = steps

    def frame(self, frame: Frame) -> None:
        self.frames += 1
        heard = self._steps.heard.get(frame.seq)
        if heard is not None:
            self.lags.append(max(0.0, (time.monotonic() - heard) * 1e3))

    def failed(self, what: str) -> None:
        self.errors[what] = self.errors.get(what, 0) + 1


class Ask:
    """One route over one connection that stays open. Asking again before it was asked changes nothing."""

    def __init__(self, gateway: Gateway, route: str, seen: Seen) -> None:
        self._port = gateway.port
        self._name, self._seen = route.partition("?")[0], seen
        self._wanted = asyncio.Event()
        self._since = 0.0
        self._request = (
            f"GET {_API}/{route} HTTP/1.1\r\nHost: localhost:{gateway.port}\r\nAuthorization: {gateway.authorization}\r\n\r\n"
        ).encode()

    def now(self) -> None:
        if not self._wanted.is_set():
            self._since = time.monotonic()
            self._wanted.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                async with _connected(self._port) as (reader, writer):
                    await self._serve(reader, writer)
            except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
                self._seen.failed(f"{self._name}: {type(error).__name__}")
                await asyncio.sleep(1)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            since = self._since
            async with asyncio.timeout(ANSWER_WITHIN_S):
                writer.write(self._request)
                status = await _answer(reader)
            self._seen.answers.setdefault(self._name, []).append((time.monotonic() - since) * 1e3)
            if status != 200:
                self._seen.failed(f"{self._name}: {status}")


@asynccontextmanager
async def _connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> int:
    """The status of an answer, its body read and thrown away."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    await reader.readexactly(int(fields["content-length"]))
    return int(head.split(" ", 2)[1])


async def page(number: int, users: int, gateway: Gateway, seen: Seen) -> None:
    """An open page, for ever. Pages are opened evenly over the first two seconds."""
    await asyncio.sleep(2 * number / users)
    pace = 0.5 + number / users  # pages that hear of the same step do not all ask at the same moment
    asks = {route: Ask(gateway, route, seen) for route in (*_ON_TIME, *_EVERY_MINUTE, *chain(*_ON_NEWS.values()))}
    async with asyncio.TaskGroup() as tasks:
        for route, ask in asks.items():
            tasks.create_task(ask.run())
            if route not in _EVERY_MINUTE:
                ask.now()
        for route, every_s in _ON_TIME.items():
            tasks.create_task(_every(every_s, asks[route]))
        for place, route in enumerate(_EVERY_MINUTE, start=1):
            tasks.create_task(_every(_MINUTE_S, asks[route], first_s=place * _ONE_BY_ONE_S * pace))
        await _listen(gateway, asks, seen, pace)


async def _every(seconds: float, ask: Ask, first_s: float = 0.0) -> None:
    await asyncio.sleep(first_s)
    while True:
        ask.now()
        await asyncio.sleep(seconds)


async def _listen(gateway: Gateway, asks: dict[str, Ask], seen: Seen, pace: float) -> None:
    headers = {"Authorization": gateway.authorization}
    loop, waiting = asyncio.get_running_loop(), set[str]()

    def ask(route: str) -> None:
        waiting.discard(route)
        asks[route].now()

    while True:
        with suppress(OSError, TimeoutError, websockets.WebSocketException):
            url = f"ws://localhost:{gateway.port}{_API}/stream"
            async with websockets.connect(url, additional_headers=headers, compression=None) as socket:
                async for text in socket:
                    frame = msgspec.json.decode(text, type=Frame)
                    seen.frame(frame)
                    for route, after_s in _ON_NEWS.get(frame.topic, {}).items():
                        if route not in waiting:
                            waiting.add(route)
                            loop.call_later(after_s * pace, ask, route)
        seen.dropped += 1
        await asyncio.sleep(1)


async def api(home: Path, *, users: int, seconds: float) -> dict[str, Any]:
    """Against the system that runs in `home`, else one of its own. `within_limit` is the answer: p99 below 500 ms, no error."""
    async with system(home) as (running, steps):
        gateway = Gateway(running.port, running.password)
        await asyncio.sleep(seconds / 2)
        before = steps.take()
        seen = Seen(steps)
        pages = [asyncio.create_task(page(number, users, gateway, seen)) for number in range(users)]
        started = time.monotonic()
        try:
            await asyncio.wait(pages, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            took = time.monotonic() - started
        finally:
            for task in pages:
                task.cancel()
            ended = await asyncio.gather(*pages, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error
        if not seen.answers:
            raise TapeError(f"the gateway on port {gateway.port} has answered nothing within {seconds:g} s")
        return _result(seen, users, took, before, steps.take(), own=running.own)


def _result(
    seen: Seen, users: int, took: float, before: list[float], during: list[float], *, own: bool
) -> dict[str, Any]:
    every = [ms for times in seen.answers.values() for ms in times]
    overall = spread(every)
    return {
        "users": users,
        "expected_users": EXPECTED_USERS,
        "system": "its own" if own else "the running one",
        "seconds": round(took, 1),
        "requests": len(every),
        "requests_per_s": round(len(every) / took, 1),
        "errors": seen.errors,
        "answer_ms": overall,
        "limit_ms": LIMIT_MS,
        "within_limit": overall["p99"] < LIMIT_MS and not seen.errors,
        "routes_ms": {name: spread(times) for name, times in sorted(seen.answers.items())},
        "stream": {"frames_per_s": round(seen.frames / took, 1), "lost": seen.dropped, "lag_ms": spread(seen.lags)},
        "step_ms": {"before": spread(before), "during": spread(during)},
        "load_average": round(os.getloadavg()[0], 1),
    }


def spread(times: list[float]) -> dict[str, Any]:
    """How many, p50, p99 and the longest; None where there is nothing."""
    if not times:
        return {"n": 0, "p50": None, "p99": None, "max": None}
    p50, p99, longest = (round(float(np.percentile(times, q)), 1) for q in (50, 99, 100))
    return {"n": len(times), "p50": p50, "p99": p99, "max": longest}
