"""The form somebody logs in with."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from common.runtime.http import Health
from gateway import pages
from gateway.auth import COOKIE, Keys

pytestmark = pytest.mark.req("GTW-01")


def ask(home: Path, method: str, **form: str) -> httpx.Response:
    app = FastAPI()
    app.include_router(pages.router(Keys.of_home(home, {}), Health("gateway", "test")))

    async def once() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.request(method, "/login", data=form)

    return asyncio.run(once())


def test_whoever_gives_a_wrong_password_is_told_so_and_may_try_again(tmp_path: Path) -> None:
    asked, refused = ask(tmp_path, "GET"), ask(tmp_path, "POST", password="guess")
    assert (asked.status_code, refused.status_code) == (200, 401)
    assert 'role="alert" hidden>That is not the password' in asked.text
    assert 'role="alert">That is not the password' in refused.text
    assert '<form method="post" action="/login">' in refused.text
    assert "set-cookie" not in refused.headers


def test_the_right_password_opens_the_page(tmp_path: Path) -> None:
    ask(tmp_path, "GET")
    opened = ask(tmp_path, "POST", password=(tmp_path / "secrets" / "gateway_password").read_text())
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    assert opened.headers["set-cookie"].startswith(f"{COOKIE}=")
