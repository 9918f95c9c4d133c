"""Whatever goes wrong is answered as `application/problem+json` (RFC 9457), and never with a traceback."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from common.errors import BallastError, TapeError
from common.runtime.postgres import PostgresError
from common.runtime.redis import RedisError

MEDIA_TYPE: Final = "application/problem+json"
_NAMES: Final[dict[type[Exception], str]] = {TapeError: "nats", PostgresError: "postgresql", RedisError: "redis"}


class UnavailableError(BallastError):
    """Something the answer needs is not there yet; asking again later may help."""


def problem(status: int, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """`detail` is for a human; `more` holds members of its own for a program."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return Response(msgspec.json.encode(body), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Makes `problem` the answer to everything that is raised."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(UnavailableError, _unavailable)
    for kind in _NAMES:
        app.add_exception_handler(kind, _unavailable)
    app.add_exception_handler(Exception, _bug)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), headers=dict(error.headers or {}), instance=request.url.path)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = [_wrong(one, error.body) for one in error.errors()]
    unreadable = any(one["type"] == "json_invalid" for one in error.errors())
    said = "; ".join(f"{one['at']} = {one['value']}: {one['expected']}" for one in wrong)
    return problem(400 if unreadable else 422, said, instance=request.url.path, errors=wrong)


def _wrong(one: Any, body: Any) -> dict[str, str]:
    """Place, expectation and value. What is no JSON is shown from where it stops being so."""
    if one["type"] != "json_invalid":
        return {"at": ".".join(map(str, one["loc"])), "expected": one["msg"], "value": repr(one.get("input"))[:200]}
    _, place = one["loc"]
    expected = f"JSON ({one['ctx']['error']})"
    return {"at": f"body, character {place}", "expected": expected, "value": repr(str(body)[place:])[:200]}


async def _unavailable(request: Request, error: Exception) -> Response:
    missing = _NAMES.get(type(error), "data")
    return problem(503, str(error), headers={"Retry-After": "1"}, instance=request.url.path, waits_for=missing)


async def _bug(request: Request, error: Exception) -> Response:
    return problem(500, "this is a bug in the gateway; its log has the details", instance=request.url.path)
