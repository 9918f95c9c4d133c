"""The application: routes, the stream, the page, and the guard before all of them."""

from __future__ import annotations

import asyncio
from typing import Final

import redis.asyncio
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.staticfiles import StaticFiles

from common.runtime import metrics
from common.runtime.http import Health
from common.runtime.postgres import Postgres
from gateway import pages, problems, routes
from gateway.auth import Keys
from gateway.counted import Counted
from gateway.guard import Guard
from gateway.link import Link
from gateway.settings import Settings
from gateway.stream import TOPICS, Client, Hub

TRY_AGAIN_LATER: Final = 1013
BAD_TOPIC: Final = 1008
MAX_REASON: Final = 123  # bytes that a closing frame has room for (RFC 6455, 5.5)


def build(
    *,
    settings: Settings,
    keys: Keys,
    health: Health,
    link: Link,
    hub: Hub,
    postgres: Postgres,
    client: redis.asyncio.Redis,
    account: str,
) -> FastAPI:
    """Everything that answers. `link` and `hub` are run by the caller."""
    app = FastAPI(
        title="Ballast",
        version="1",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
    )
    problems.install(app)
    app.include_router(routes.router(link, postgres, client, account))
    app.include_router(pages.router(keys, health))
    app.mount("/static", StaticFiles(directory=pages.STATIC))
    _stream(app, hub, settings.max_streams)
    app.add_middleware(Guard, keys=keys, hosts=settings.hosts)
    app.add_middleware(Counted)  # the outermost: what the guard refuses was a request, too
    return app


def _stream(app: FastAPI, hub: Hub, max_streams: int) -> None:
    @app.websocket("/api/v1/stream")
    async def stream(socket: WebSocket, topics: str = ",".join(TOPICS)) -> None:
        wanted = topics.split(",")
        unknown = [topic for topic in wanted if topic not in TOPICS]
        if unknown:
            await _turn_away(socket, BAD_TOPIC, f"unknown topic {unknown[0][:20]!r}; known: {','.join(TOPICS)}")
            return
        if len(hub.clients) >= max_streams:
            await _turn_away(socket, TRY_AGAIN_LATER, f"more than {max_streams} streams")
            return
        client = Client(wanted)
        hub.clients.add(client)  # before it is told that it is in: it misses nothing from then on
        metrics.WEBSOCKET_CLIENTS.set(len(hub.clients))
        try:
            await socket.accept()
            await _serve(socket, client)
        finally:
            hub.clients.discard(client)
            metrics.WEBSOCKET_CLIENTS.set(len(hub.clients))


async def _turn_away(socket: WebSocket, code: int, reason: str) -> None:
    """Accepted first, because a refused handshake carries no reason."""
    await socket.accept()
    await socket.close(code, reason.encode()[:MAX_REASON].decode(errors="ignore"))


async def _serve(socket: WebSocket, client: Client) -> None:
    sending = asyncio.create_task(_send(socket, client))
    try:
        while True:  # nothing is expected; this is how one learns that the client has gone
            await socket.receive_text()
    except WebSocketDisconnect:
        pass
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _send(socket: WebSocket, client: Client) -> None:
    while (frame := await client.waiting.get()) is not None:
        await socket.send_text(frame)
    await socket.close(TRY_AGAIN_LATER, "too slow")
