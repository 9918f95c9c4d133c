"""`python -m gateway`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Iterable
from typing import Any, Final

import uvicorn
import uvloop
from fastapi import FastAPI

from common.errors import BallastError
from common.model.account import Account
from common.runtime import http, redis
from common.runtime.environment import Environment
from common.runtime.postgres import Postgres
from common.runtime.service import EXIT_BUG, Process, give_up
from common.runtime.settings import section
from gateway.app import build
from gateway.auth import Keys
from gateway.link import Link
from gateway.settings import Settings
from gateway.stream import Hub

QUERY_TIMEOUT_S: Final = 10.0
KEEP_ALIVE_S: Final = 75  # longer than a page waits between two requests: else it meets a connection that just closes


async def main() -> int:
    """Serves until asked to stop. Returns the exit code."""
    process = Process(Environment.from_os())
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises it again when it is done: that is no reason to fail
        asyncio.get_running_loop().add_signal_handler(number, process.stopping.set)
    environment, settings = process.environment, section(process.config, "gateway", Settings)
    hub = Hub(settings.stream_hz)
    link = Link(process, hub.heard)
    postgres = Postgres(environment.postgres_dsn(), command_timeout_s=QUERY_TIMEOUT_S, read_only=True)
    client = redis.client(environment.redis_url())
    keys = Keys.of_home(environment.home, os.environ)
    # Before anything else runs: uvicorn would end the process in the middle of its other tasks, which then wait for each other.
    listening = http.listen(environment.http_host, environment.http_port)
    app = build(
        settings=settings,
        keys=keys,
        health=process.health,
        link=link,
        hub=hub,
        postgres=postgres,
        client=client,
        account=section(process.config, "account", Account).id,
    )
    try:
        return await _serve(_server(app), listening, process, (link.run(), hub.run()))
    finally:
        await postgres.close()
        await client.aclose()


def _server(app: FastAPI) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
            timeout_keep_alive=KEEP_ALIVE_S,
            ws_max_size=1024,
        )
    )


async def _serve(
    server: uvicorn.Server,
    listening: socket.socket,
    process: Process,
    background: Iterable[Coroutine[Any, Any, None]],
) -> int:
    process.log.info("started", port=process.environment.http_port)
    serving = asyncio.create_task(server.serve([listening]))  # ends on SIGTERM and SIGINT
    work = [asyncio.create_task(one) for one in background]
    done, _ = await asyncio.wait({serving, *work}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving
    for task in work:
        task.cancel()
    for task in done - {serving}:
        if isinstance(error := task.exception(), BallastError):
            raise error
        process.log.error("bug: the process ends", exc_info=error)
        return EXIT_BUG
    process.log.info("stopped")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(uvloop.run(main()))
    except BallastError as error:
        give_up(error)
