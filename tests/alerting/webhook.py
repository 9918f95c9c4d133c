"""Whoever is told of alerts: keeps what Alertmanager posts, with the time."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self


class Told(NamedTuple):
    """One alert of a notification. `at` is `time.monotonic` of its arrival."""

    at: float
    receiver: str
    status: str  # firing or resolved
    labels: dict[str, str]
    annotations: dict[str, str]


class Webhook:
    """Listens on a free port of loopback."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                now = time.monotonic()
                for alert in body["alerts"]:
                    told.append(Told(now, body["receiver"], alert["status"], alert["labels"], alert["annotations"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alerts"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="webhook", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def heard(self, alert: str, receiver: str = "on_call", *, since: float = 0.0, **labels: str) -> Told | None:
        """The first time this was told after `since`, with at least these labels."""
        wanted = {"alertname": alert, **labels}.items()
        for told in list(self.told):
            fits = (told.receiver, told.status) == (receiver, "firing") and wanted <= told.labels.items()
            if fits and told.at >= since:
                return told
        return None
