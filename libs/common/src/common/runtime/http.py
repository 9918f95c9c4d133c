"""`/health/live`, `/health/ready`, `/metrics`, `/info` of every service.

A thread of its own answers, so that a stuck event loop is visible from outside instead of making the port mute.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from common.errors import PortError

STALLED_AFTER_S: Final = 10.0
_JSON: Final = "application/json"
Answer = tuple[str, str, bytes]  # status, content type, body


@dataclass(slots=True)
class Health:
    """What a service knows of itself. `waits_for` is empty when it is ready. `role` is "leader" or "standby" where the service
    has a lease; a standby is ready when it could take over.
    """

    service: str
    build: str
    role: str = ""
    waits_for: dict[str, str] = field(default_factory=lambda: {"start": "the process is starting"})
    info: dict[str, Any] = field(default_factory=dict)
    loop_seen: float = field(default_factory=time.monotonic)

    def tick(self) -> None:
        """Called by the event loop: it is alive."""
        self.loop_seen = time.monotonic()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        return


def serve(health: Health, host: str, port: int) -> Callable[[], None]:
    """Starts to answer; returns the function that stops it. Port 0 takes a free one, found in `health.info["port"]`. Raises
    PortError.
    """

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        status, kind, body = _answer(health, str(environ.get("PATH_INFO", "")))
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    try:
        server = make_server(host, port, app, _Server, _Quiet)
    except OSError as error:
        raise _not_to_be_had(host, port, error) from None
    health.info["port"] = server.server_port
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()

    def stop() -> None:
        server.shutdown()
        server.server_close()  # else the port stays taken

    return stop


def listen(host: str, port: int) -> socket.socket:
    """A socket for a server of somebody else's. Raises PortError."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise _not_to_be_had(host, port, error) from None


def _not_to_be_had(host: str, port: int, error: OSError) -> PortError:
    return PortError(f"{host}:{port}: cannot listen there: {error.strerror}; is something else on that port?")


def _answer(health: Health, path: str) -> Answer:
    match path:
        case "/health/live":
            silent = time.monotonic() - health.loop_seen
            return _reply(
                silent < STALLED_AFTER_S, {"alive": silent < STALLED_AFTER_S, "loop_silent_s": round(silent, 1)}
            )
        case "/health/ready":
            role = {"role": health.role} if health.role else {}
            return _reply(not health.waits_for, {"ready": not health.waits_for, "waits_for": health.waits_for, **role})
        case "/info":
            return _reply(True, {"service": health.service, "build": health.build, **health.info})
        case "/metrics":
            return "200 OK", CONTENT_TYPE_LATEST, generate_latest()
    return "404 Not Found", _JSON, b'{"error":"try /health/live, /health/ready, /info or /metrics"}'


def _reply(good: bool, body: dict[str, Any]) -> Answer:
    return "200 OK" if good else "503 Service Unavailable", _JSON, msgspec.json.encode(body)
