"""Serves the reference venue, on loopback and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import uvicorn

from common.errors import ConfigError
from execution.reference_venue.app import ReferenceVenue
from execution.venue_settings import is_loopback


def bind(host: str, port: int) -> tuple[socket.socket, str]:
    """A listening socket and its URL; port 0 takes a free one. Raises ConfigError for a port in use and for an address that
    others could reach: nobody shall mistake this for a venue.
    """
    if not is_loopback(host):
        raise ConfigError(f"host {host!r}: the reference venue binds loopback addresses only, 127.0.0.1 for instance")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # so named, asyncio sends without delay
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ConfigError(f"{host}:{port}: {error.strerror}") from None
    listening.listen(128)
    shown = f"[{host}]" if ":" in host else host
    return listening, f"http://{shown}:{listening.getsockname()[1]}"


def server(venue: ReferenceVenue) -> uvicorn.Server:
    """To be given a socket; ends on SIGTERM and SIGINT."""
    return uvicorn.Server(
        uvicorn.Config(
            venue.app,
            log_config=None,
            log_level="critical",  # it breaks connections on purpose
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
            timeout_keep_alive=60,
            ws="websockets-sansio",
        )
    )


@contextlib.asynccontextmanager
async def serving(venue: ReferenceVenue, port: int = 0) -> AsyncIterator[str]:
    """In this event loop; gives the URL."""
    listening, url = bind("127.0.0.1", port)
    running = server(venue)
    task = asyncio.create_task(running.serve([listening]))
    try:
        yield url
    finally:
        venue.feed.disconnect()
        running.should_exit = True
        await task
