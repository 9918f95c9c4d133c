"""Whatever is asked of the API, the answer is one it has promised: never 500, always a problem with a reason where it is no."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.gateway import Stage, staged

from common.runtime.embedded import Endpoints

pytestmark = [pytest.mark.integration, pytest.mark.req("GTW-01")]

REFUSALS = frozenset({400, 404, 405, 413, 415, 422, 503})
# Words that have broken something somewhere, and what the API itself knows.
ODD = (
    "",
    "0",
    "-1",
    "NaN",
    "Infinity",
    "1e999",
    "9" * 40,
    "\x00",
    "\ud7ff",
    "'; --",
    "../..",
    "%",
    "null",
    "EUR-USD",
    "1h",
)
TEXT = st.one_of(st.sampled_from(ODD), st.text(max_size=40), st.integers().map(str))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)
EXAMPLES = 300


@pytest.fixture(scope="module")
def stage(servers: Endpoints) -> Iterator[Stage]:
    with staged(servers, "api_properties") as stage:
        yield stage


@pytest.fixture(scope="module")
def schema(stage: Stage) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        async with stage.client() as client:
            return (await client.get("/api/v1/openapi.json")).json()

    return asyncio.run(read())


def operations(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation) for path, methods in schema["paths"].items() for method, operation in methods.items()
    ]


def fitting(schema: dict[str, Any], part: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a part of the schema lets in, roughly: near enough to reach what is behind the checks."""
    if "$ref" in part:
        return fitting(schema, schema["components"]["schemas"][part["$ref"].rpartition("/")[2]])
    if "anyOf" in part:
        return st.one_of([fitting(schema, one) for one in part["anyOf"]])
    if "enum" in part or "const" in part:
        return st.sampled_from(part.get("enum", [part.get("const")]))
    match part.get("type"):
        case "object":
            fields = {name: fitting(schema, one) for name, one in part.get("properties", {}).items()}
            needed = part.get("required", [])
            return st.fixed_dictionaries(
                {name: fields[name] for name in needed},
                optional={name: one for name, one in fields.items() if name not in needed},
            )
        case "integer":
            return st.integers(part.get("minimum", -10), part.get("maximum", 1000))
        case "number":
            return st.floats(allow_nan=False, allow_infinity=False)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return st.one_of(st.text(max_size=30), st.sampled_from(("EUR-USD", "1h", "1", "1.05", *ODD)))


def requests(schema: dict[str, Any]) -> st.SearchStrategy[tuple[str, str, dict[str, str], Any]]:
    """(method, URL, query, body): each value either one that the schema lets in or anything."""

    @st.composite
    def draw_one(draw: st.DrawFn) -> tuple[str, str, dict[str, str], Any]:
        method, path, operation = draw(st.sampled_from(operations(schema)))
        query: dict[str, str] = {}
        for parameter in operation.get("parameters", ()):
            value = draw(st.one_of(fitting(schema, parameter["schema"]), TEXT))
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", quote(str(value) or "-", safe=""))
            elif value is not None and draw(st.booleans()):
                query[parameter["name"]] = str(value)
        body = None
        if "requestBody" in operation:
            wanted = operation["requestBody"]["content"]["application/json"]["schema"]
            body = draw(st.one_of(fitting(schema, wanted), JSON))
        return method, path, query, body

    return draw_one()


def test_no_request_makes_the_gateway_fail(stage: Stage, schema: dict[str, Any]) -> None:
    seen: dict[int, int] = {}
    with httpx.Client(base_url=stage.url, auth=("admin", stage.password), timeout=20) as client:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(requests(schema))
        def ask(request: tuple[str, str, dict[str, str], Any]) -> None:
            method, path, query, body = request
            content = None if body is None else _json(body)
            headers = {} if method == "get" else {"Content-Type": "application/json"}
            answer = client.request(method, path, params=query, content=content, headers=headers)
            seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
            assert answer.status_code < 300 or answer.status_code in REFUSALS, (request, answer.text)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json", request
                assert answer.json()["detail"], request
            assert "Traceback" not in answer.text

        ask()
        assert client.get("/health/ready").status_code == 200
    print(f"\n{sum(seen.values())} requests: {dict(sorted(seen.items()))}")
    assert len(seen) > 2  # both sides were reached
    assert any(status < 300 for status in seen)


def _json(body: Any) -> bytes:
    """As a careless client would say it: with NaN, which JSON does not know, and lone halves of characters."""
    return json.dumps(body).encode()
