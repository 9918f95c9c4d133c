"""What is said to somebody who asked wrongly: the place, the value, and what was expected."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from gateway import problems

pytestmark = pytest.mark.req("GTW-01")


class Said(BaseModel):
    reason: str


def ask(content: bytes) -> tuple[int, dict[str, Any]]:
    app = FastAPI()
    problems.install(app)

    @app.post("/said")
    async def said(body: Said) -> str:
        return body.reason

    async def once() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.post("/said", content=content, headers={"Content-Type": "application/json"})

    answer = asyncio.run(once())
    return answer.status_code, answer.json()


def test_what_is_no_json_is_shown_from_where_it_stops_being_so() -> None:
    status, body = ask(b'{"reason": drill}')
    assert status == 400
    (wrong,) = body["errors"]
    assert wrong == {"at": "body, character 11", "expected": "JSON (Expecting value)", "value": "'drill}'"}


def test_a_wrong_field_is_named_with_its_value() -> None:
    status, body = ask(b'{"reason": 7}')
    assert status == 422
    assert "body.reason = 7: " in body["detail"]
