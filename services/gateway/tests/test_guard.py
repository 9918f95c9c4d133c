"""What is turned away before anything else looks at it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from gateway import problems
from gateway.auth import USER, Keys
from gateway.guard import MAX_BODY, Guard

pytestmark = pytest.mark.req("GTW-01")

JSON = {"Content-Type": "application/json"}


class Door:
    """An application behind the guard, that remembers how much of a body it was given."""

    def __init__(self, home: Path) -> None:
        self.keys = Keys.of_home(home, {})
        self.read = -1
        app = FastAPI()
        problems.install(app)

        @app.post("/api/v1/said")
        @app.post("/login")
        async def said(request: Request) -> Response:
            self.read = len(await request.body())
            return Response(status_code=204)

        app.add_middleware(Guard, keys=self.keys, hosts=())
        self._app = app

    def ask(self, path: str, headers: dict[str, str | bytes], body: bytes | AsyncIterator[bytes] = b"{}") -> int:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=True)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.post(path, headers=headers, content=body)  # type: ignore[arg-type]

        answer = asyncio.run(once())
        if answer.status_code != 204:
            assert answer.headers["content-type"] == problems.MEDIA_TYPE
        return answer.status_code

    def key(self) -> dict[str, str | bytes]:
        return {"cookie": self.keys.cookie().partition(";")[0], **JSON}


async def chunks(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * size


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "[::1", **JSON}, 421),
        ({"Host": "elsewhere.example", **JSON}, 421),
        ({"Origin": "http://[", **JSON}, 403),
        ({"Origin": "null", **JSON}, 403),
        ({"Authorization": "Basic é".encode("latin-1"), **JSON}, 401),
        ({"Authorization": b"Basic " + base64.b64encode(b"\xff\xfe:x"), **JSON}, 401),
        ({"Authorization": "Basic %%%", **JSON}, 401),
        ({}, 415),
    ],
)
def test_headers_that_make_no_sense_are_refused_and_are_no_bug(
    tmp_path: Path, headers: dict[str, str | bytes], status: int
) -> None:
    assert Door(tmp_path).ask("/api/v1/said", headers) == status


def test_who_has_the_key_comes_in(tmp_path: Path) -> None:
    door = Door(tmp_path)
    password = (tmp_path / "secrets" / "gateway_password").read_text()
    basic = base64.b64encode(f"{USER}:{password}".encode()).decode()
    assert door.ask("/api/v1/said", {"Authorization": f"Basic {basic}", **JSON}) == 204
    assert door.ask("/api/v1/said", {"Origin": "http://localhost", **door.key()}) == 204


def test_no_body_is_longer_than_allowed_whether_it_says_so_or_comes_in_chunks(tmp_path: Path) -> None:
    door = Door(tmp_path)
    for path in ("/login", "/api/v1/said"):
        assert door.ask(path, door.key(), b" " * (MAX_BODY + 1)) == 413
        assert door.ask(path, door.key(), chunks(20, MAX_BODY // 10)) == 413
    assert door.read == -1  # nobody was given any of it
    assert door.ask("/login", door.key(), chunks(10, MAX_BODY // 10)) == 204
    assert door.read == 10 * (MAX_BODY // 10)
