"""`python -m recorder`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import uvloop

from common.errors import BallastError
from common.runtime import http
from common.runtime.environment import Environment
from common.runtime.service import BEHIND_ORDERS, EXIT_BUG, Process, give_up
from recorder.service import Recorder


async def main() -> int:
    """Records until asked to stop. Returns the exit code."""
    process = Process(Environment.from_os())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.stopping.set)
    stop_http = http.serve(process.health, process.environment.http_host, process.environment.http_port)
    process.log.info("started", port=process.environment.http_port)
    try:
        await Recorder(process).run()
    except BallastError:
        raise
    except Exception:
        process.log.exception("bug: the process ends, what is recorded is recorded")
        return EXIT_BUG
    finally:
        stop_http()
    process.log.info("stopped")
    return 0


if __name__ == "__main__":
    try:
        os.nice(BEHIND_ORDERS)
        sys.exit(uvloop.run(main()))
    except BallastError as error:
        give_up(error)
