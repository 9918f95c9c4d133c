"""The page, logging in, and what probes ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from common.runtime.http import Health
from gateway.auth import USER, Keys

STATIC: Final = Path(__file__).parent / "static"


def router(keys: Keys, health: Health) -> APIRouter:
    """None of it is part of the API."""
    routes = APIRouter(include_in_schema=False)
    _login(routes, keys)
    _probes(routes, health)

    @routes.get("/")
    async def page() -> Response:
        return FileResponse(STATIC / "index.html")

    return routes


def _login(routes: APIRouter, keys: Keys) -> None:
    @routes.get("/login")
    async def form(token: str = "") -> Response:
        if token:
            return _welcome(keys) if keys.open_with_token(token) else RedirectResponse("/login", 303)
        return FileResponse(STATIC / "login.html")

    @routes.post("/login")
    async def login(request: Request) -> Response:
        fields = parse_qs((await request.body()).decode("utf-8", "replace"))
        if keys.open_with_password(USER, fields.get("password", [""])[0]):
            return _welcome(keys)
        said = (STATIC / "login.html").read_text().replace('role="alert" hidden', 'role="alert"')
        return HTMLResponse(said, 401)


def _welcome(keys: Keys) -> Response:
    return RedirectResponse("/", 303, {"Set-Cookie": keys.cookie()})


def _probes(routes: APIRouter, health: Health) -> None:
    answers: dict[str, Callable[[], tuple[bool, object]]] = {
        "/health/live": lambda: (True, {"alive": True}),  # this loop answers: it is alive
        "/health/ready": lambda: (
            not health.waits_for,
            {"ready": not health.waits_for, "waits_for": health.waits_for},
        ),
        "/info": lambda: (True, {"service": health.service, "build": health.build, **health.info}),
    }
    for path, answer in answers.items():
        routes.add_api_route(path, _probe(answer))

    @routes.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _probe(answer: Callable[[], tuple[bool, object]]) -> Callable[[], Response]:
    def probe() -> Response:
        good, body = answer()
        return Response(msgspec.json.encode(body), 200 if good else 503, media_type="application/json")

    return probe
