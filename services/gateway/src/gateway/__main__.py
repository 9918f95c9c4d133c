"""`python -m gateway`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Final

import uvicorn
import uvloop

from common.errors import BallastError
from common.runtime import redis
from common.runtime.environment import Environment
from common.runtime.postgres import Postgres
from common.runtime.service import EXIT_CONFIG, Process
from common.runtime.settings import section
from gateway.app import build
from gateway.auth import Keys
from gateway.link import Link
from gateway.settings import Settings
from gateway.stream import Hub

QUERY_TIMEOUT_S: Final = 10.0


async def main() -> None:
    """Serves until asked to stop."""
    environment = Environment.from_os()
    process = Process(environment)
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises it again when it is done: that is no reason to fail
        asyncio.get_running_loop().add_signal_handler(number, process.stopping.set)
    settings = section(process.config, "gateway", Settings)
    hub = Hub(settings.stream_hz)
    app = build(
        settings=settings,
        keys=Keys.of_home(environment.home, os.environ),
        health=process.health,
        link=Link(process, hub.heard),
        hub=hub,
        postgres=Postgres(environment.postgres_dsn(), command_timeout_s=QUERY_TIMEOUT_S, read_only=True),
        client=redis.client(environment.redis_url()),
    )
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=environment.http_host,
            port=environment.http_port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
            ws_max_size=1024,
        )
    )
    process.log.info("started", port=environment.http_port)
    await server.serve()  # ends on SIGTERM and SIGINT
    process.log.info("stopped")


if __name__ == "__main__":
    try:
        uvloop.run(main())
    except BallastError as error:
        print(json.dumps({"event": "configuration", "error": str(error)}), file=sys.stderr)  # noqa: T201
        sys.exit(EXIT_CONFIG)
