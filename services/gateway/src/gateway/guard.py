"""What every request passes before anything else looks at it: right host, right origin, right type, right person."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from fastapi import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.auth import Keys
from gateway.problems import problem

API: Final = "/api/"
OPEN: Final = ("/health/live", "/health/ready", "/metrics", "/info", "/login", "/static/")
LOCAL: Final = ("localhost", "127.0.0.1", "::1")
MAX_BODY: Final = 64 * 1024
SAFE: Final = ("GET", "HEAD")
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none at all browsers call their own origin null, and the login form is refused
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """ASGI middleware. `scope["user"]` is set behind it."""

    def __init__(self, app: ASGIApp, keys: Keys, hosts: tuple[str, ...]) -> None:
        self._app = app
        self._keys = keys
        self._hosts = frozenset((*LOCAL, *hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope, Headers(scope=scope))
        if refusal is None:
            await self._app(scope, _bounded(receive), with_headers)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
        else:
            await refusal(scope, receive, with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host, origin, path = headers.get("host", ""), headers.get("origin"), scope["path"]
        if _site(f"//{host}")[0] not in self._hosts:
            return problem(421, f"Host {host[:100]!r} is not one of {', '.join(sorted(self._hosts))}")
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE
        if changes and origin is not None and _site(origin)[1] != host:
            return problem(403, f"Origin {origin[:100]!r} is another site than {host!r}")
        if changes and path.startswith(API) and scope["type"] == "http" and scope["method"] != "DELETE":  # has no body
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                return problem(415, f"Content-Type {kind[:100]!r}: expected application/json")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            return problem(413, f"Content-Length {length[:20]!r}: at most {MAX_BODY} bytes")
        if path.startswith(OPEN):
            return None
        scope["user"] = self._keys.user(headers)
        return None if scope["user"] else self._closed(scope, headers)

    def _closed(self, scope: Scope, headers: Headers) -> Response:
        """A program is told how to log in, a person is shown the form, a page is not made to pop one up."""
        if not scope["path"].startswith(API):
            query = scope.get("query_string", b"").decode("latin-1")
            return RedirectResponse(f"/login?{query}" if query else "/login", 303)
        challenge = {} if "sec-fetch-mode" in headers else {"WWW-Authenticate": 'Basic realm="Ballast"'}
        return problem(401, "log in with user admin and the password in secrets/gateway_password", headers=challenge)


def _site(url: str) -> tuple[str | None, str | None]:
    """Host name, and host with port, of a URL; twice None for what is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None, None
    return parts.hostname, parts.netloc


def _bounded(receive: Receive) -> Receive:
    """A body that comes in chunks does not say beforehand how long it is: it is counted while it comes."""
    length = 0

    async def counting() -> Message:
        nonlocal length
        message = await receive()
        length += len(message.get("body", b""))
        if length > MAX_BODY:
            raise HTTPException(413, f"body of {length} bytes or more: at most {MAX_BODY} bytes")
        return message

    return counting
