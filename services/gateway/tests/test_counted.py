"""Requests are counted by the template of their route."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry

from common.runtime import metrics
from gateway.counted import Counted

pytestmark = pytest.mark.req("MON-01", "MON-03")

REGISTRY = CollectorRegistry()
metrics.export("gateway", REGISTRY)


def application() -> FastAPI:
    app, routes = FastAPI(), APIRouter(prefix="/api/v1")

    @routes.get("/orders/{client_order_id}")
    async def order(client_order_id: str) -> str:
        return client_order_id

    @routes.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError

    app.include_router(routes)
    app.add_middleware(Counted)
    return app


def ask(method: str, path: str) -> None:
    async def once() -> None:
        transport = httpx.ASGITransport(application(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await client.request(method, path)

    asyncio.run(once())


@pytest.mark.parametrize(
    ("method", "path", "route", "counted_as", "status"),
    [
        ("GET", "/api/v1/orders/fx-7", "/api/v1/orders/{client_order_id}", "GET", "200"),
        ("POST", "/api/v1/orders/fx-7", "/api/v1/orders/{client_order_id}", "POST", "405"),
        ("GET", "/api/v1/broken", "/api/v1/broken", "GET", "500"),
        ("GET", "/wp-admin/setup.php", "none", "GET", "404"),
        ("BREW", "/api/v1/pot", "none", "none", "404"),
        ("GET", "/static/app.js", "/static", "GET", "404"),
    ],
)
def test_a_request_is_counted_under_its_template(
    method: str, path: str, route: str, counted_as: str, status: str
) -> None:
    labels = {"route": route, "method": counted_as, "status": status}

    def counts() -> tuple[float, float]:
        requests = REGISTRY.get_sample_value("ballast_http_requests_total", labels)
        timed = REGISTRY.get_sample_value("ballast_http_request_seconds_count", {"route": route})
        return requests or 0, timed or 0

    before = counts()
    ask(method, path)
    assert counts() == (before[0] + 1, before[1] + 1)


def test_no_path_of_a_stranger_becomes_a_series() -> None:
    for number in range(20):
        ask("GET", f"/api/v1/orders/fx-{number}")
        ask("GET", f"/nowhere/{number}")
    routes = {
        sample.labels["route"]
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == "ballast_http_requests_total"
    }
    assert routes <= {"/api/v1/orders/{client_order_id}", "/api/v1/broken", "none", "/static"}
