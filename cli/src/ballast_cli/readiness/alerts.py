"""Alerts: the guardian's own on the tape, and those that Alertmanager brings to a webhook."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex
from typing import Any, Final

import httpx

from ballast_cli import operator, orders
from ballast_cli.readiness.evidence import Evidence, not_here, seconds
from ballast_cli.readiness.system import System, until
from common import messages as m
from common.errors import ConfigError

RAISED_WITHIN_S: Final = 5.0
TOLD_WITHIN_S: Final = 30.0
ALERT: Final = "BallastReadiness"
_LASTS: Final = timedelta(minutes=1)
_LARGEST_BYTES: Final = 2**20


def in_band(system: System) -> Evidence:
    """A scope that nobody trades in is halted; the alert of it is raised, acknowledged, and the scope released."""
    scope, before, began = f"readiness-{token_hex(4)}", system.end(), time.monotonic()
    raised: list[str] = []

    def heard() -> bool:
        said = (each.message for each in system.said(m.AlertRaised, after=before))
        raised.extend(each.alert_id for each in said if isinstance(each, m.AlertRaised) and scope in each.alert_id)
        return bool(raised)

    try:
        asyncio.run(orders.scope(system.home, scope, "", "ballast readiness", halted=True))
        found = until(heard, max(RAISED_WITHIN_S - (time.monotonic() - began), 0.0))
        took = time.monotonic() - began
        answer = asyncio.run(orders.acknowledge(system.home, raised[0])) if raised else {"done": False}
    finally:
        asyncio.run(orders.scope(system.home, scope, "", "ballast readiness", halted=False))
    told = "no alert" if found is None else f"raised after {seconds(took)}"
    return Evidence(
        passed=found is not None and bool(answer["done"]),
        did=f"halted strategy {scope}, which does not exist, acknowledged the alert of it, released it",
        saw=f"{told}, {'acknowledged' if answer['done'] else 'not acknowledged'}",
        limit=f"raised within {RAISED_WITHIN_S:g} s, acknowledged within {operator.ANSWER_WITHIN_S:g} s",
    )


def webhook(system: System) -> Evidence:
    """A test alert given to Alertmanager arrives here."""
    if not system.alertmanager:
        return not_here("no --alertmanager was given")
    mark = token_hex(8)
    with _listening(system.webhook) as (url, told):
        refused = _give(system.alertmanager, mark)
        took = None if refused else until(lambda: mark in told, TOLD_WITHIN_S)
    saw = refused or (f"nothing arrived at {url}" if took is None else f"at {url} after {seconds(took)}")
    return Evidence(
        passed=took is not None,
        did=f"gave {system.alertmanager} the critical alert {ALERT} and listened at {url}",
        saw=saw,
        limit=f"{TOLD_WITHIN_S:g} s",
    )


def _give(url: str, mark: str) -> str:
    """Why Alertmanager did not take it; empty when it did."""
    now = datetime.now(UTC)
    labels = {"alertname": ALERT, "severity": "critical", "service": "readiness", "readiness": mark}
    summary = {"summary": "A test by `ballast readiness`; it ends by itself within a minute."}
    alert = {"labels": labels, "annotations": summary, "endsAt": (now + _LASTS).isoformat()}
    try:
        answer = httpx.post(f"{url.rstrip('/')}/api/v2/alerts", json=[alert], timeout=5.0, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"Alertmanager does not answer: {error}"
    return "" if answer.status_code == httpx.codes.OK else f"Alertmanager answered {answer.status_code}"


@contextmanager
def _listening(at: tuple[str, int]) -> Iterator[tuple[str, set[str]]]:
    """(where, marks of the alerts that came). Raises ConfigError where the port is taken."""
    told: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = min(int(self.headers.get("Content-Length", "0")), _LARGEST_BYTES)
            told.update(_marks(self.rfile.read(length)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
            return

    try:
        server = ThreadingHTTPServer(at, Handler)
    except OSError as error:
        raise ConfigError(f"--webhook {at[0]}:{at[1]}: cannot listen there: {error.strerror}") from None
    threading.Thread(target=server.serve_forever, name="webhook", daemon=True).start()
    try:
        yield f"http://{at[0]}:{server.server_port}", told
    finally:
        server.shutdown()
        server.server_close()


def _marks(body: bytes) -> Iterator[str]:
    try:
        alerts = json.loads(body)["alerts"]
        yield from (str(each["labels"].get("readiness", "")) for each in alerts)
    except (ValueError, KeyError, TypeError, AttributeError):
        return
