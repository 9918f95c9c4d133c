"""REST under /api/v1. Decimals are strings, times integer nanoseconds UTC, as on the tape."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
import redis.asyncio
from fastapi import APIRouter, HTTPException, Query, Response

from common.model.enums import OrderState
from common.model.time import Timeframe
from common.runtime.postgres import Postgres
from gateway import explain, hot, queries
from gateway.answers import Before, Instrument, Limit, OrderId, Text, as_json, page
from gateway.commands import add_commands
from gateway.link import Link
from gateway.markets import add_markets
from gateway.reads import Reads

PROPOSED: Final = "PROPOSED"
_JSON_COLUMNS: Final = frozenset(
    ("var", "es", "component_var", "marginal_var", "by_currency", "by_sector", "by_strategy", "by_instrument")
)


def router(link: Link, postgres: Postgres, client: redis.asyncio.Redis, account: str) -> APIRouter:
    """All routes, on the three things they read from."""
    routes = APIRouter(prefix="/api/v1", default_response_class=Response)
    reads = Reads(postgres, client)
    _now(routes, reads)
    _orders(routes, reads)
    _history(routes, reads)
    _health(routes, link)
    add_markets(routes, reads)
    add_commands(routes, link, account)
    return routes


def _now(routes: APIRouter, reads: Reads) -> None:
    @routes.get("/status", summary="What runs, how far it is, and whether it may trade")
    async def status() -> Response:
        return as_json(hot.status(await reads.view()))

    @routes.get("/prices", summary="Last price of every instrument")
    async def prices() -> Response:
        return as_json(hot.prices(await reads.view()))

    @routes.get("/regime/current", summary="Regime per instrument and timeframe, with the values that decided")
    async def regime_current(instrument_id: Text = None) -> Response:
        return as_json(hot.regimes(await reads.view(), instrument_id))

    @routes.get("/strategies", summary="Every strategy's opinion of now")
    async def strategies() -> Response:
        return as_json(hot.signals(await reads.view()))

    @routes.get("/portfolio", summary="Equity, exposures, cash and positions")
    async def portfolio() -> Response:
        return as_json(hot.portfolio(await reads.view()))

    @routes.get("/positions", summary="Positions with their profit at the last price")
    async def positions() -> Response:
        return as_json(hot.positions(await reads.view()))

    @routes.get("/risk/portfolio", summary="The guardian's view: drawdown, exposure, ladders, trading state")
    async def risk() -> Response:
        return as_json(hot.risk(await reads.view()))


def _orders(routes: APIRouter, reads: Reads) -> None:
    @routes.get("/orders", summary="Orders with state and reason, newest first")
    async def orders(
        state: OrderState | Literal["PROPOSED"] | None = None,
        instrument_id: Text = None,
        strategy_id: Text = None,
        before: Before = None,
        limit: Limit = 100,
    ) -> Response:
        rows = await reads.fetch(queries.ORDERS, state, instrument_id, strategy_id, before, limit)
        return page(rows, limit, "first_seq")

    @routes.get("/orders/{client_order_id}", summary="One order with everything that happened to it")
    async def order(client_order_id: OrderId) -> Response:
        row = await reads.fetchrow(queries.ORDER, client_order_id)
        if row is None:
            raise _unknown(client_order_id)
        events = await reads.fetch(queries.ORDER_EVENTS, client_order_id)
        fills = await reads.fetch(queries.ORDER_FILLS, client_order_id)
        return as_json({**row, "events": list(map(dict, events)), "fills": list(map(dict, fills))})

    @routes.get("/explain/{client_order_id}", summary="Why: tick, regime, signal, target, decision, order, fill")
    async def why(client_order_id: OrderId) -> Response:
        row = await reads.fetchrow(queries.ORDER, client_order_id)
        if row is None:
            raise _unknown(client_order_id)
        rows = await reads.fetch(queries.CHAIN, client_order_id)
        return as_json({"order": dict(row), "chain": explain.chain(client_order_id, rows)})

    @routes.get("/decisions", summary="What the guardian approved and denied, by which rule, with its numbers")
    async def decisions(
        decision: Literal["APPROVED", "DENIED"] | None = None, before: Before = None, limit: Limit = 100
    ) -> Response:
        return page(await reads.fetch(queries.DECISIONS, decision, before, limit), limit, "seq")


def _history(routes: APIRouter, reads: Reads) -> None:
    @routes.get("/regime/history", summary="Every reading of one instrument and timeframe, newest first")
    async def regime_history(
        instrument_id: Instrument,
        timeframe: Timeframe,
        before: Before = None,
        limit: Limit = 100,
    ) -> Response:
        return page(await reads.fetch(queries.REGIMES, instrument_id, timeframe, before, limit), limit, "seq")

    @routes.get("/prices/history", summary="Closes of the newest steps, by instrument, oldest first")
    async def prices_history(points: Annotated[int, Query(ge=1, le=1000)] = 60) -> Response:
        return as_json({"items": list(map(dict, await reads.fetch(queries.PRICES, points)))})

    @routes.get("/portfolio/history", summary="Equity and drawdown over the whole run, thinned out evenly")
    async def portfolio_history(points: Annotated[int, Query(ge=2, le=5000)] = 400) -> Response:
        return as_json({"items": list(map(dict, await reads.fetch(queries.EQUITY, points)))})

    @routes.get("/execution/costs", summary="Commission and slippage by strategy and instrument")
    async def costs(instrument_id: Text = None, strategy_id: Text = None) -> Response:
        return as_json({"items": list(map(dict, await reads.fetch(queries.COSTS, instrument_id, strategy_id)))})

    @routes.get("/execution/orders", summary="What every finished order cost, against what was expected")
    async def order_costs(instrument_id: Text = None, before: Before = None, limit: Limit = 100) -> Response:
        return page(await reads.fetch(queries.ORDER_COSTS, instrument_id, before, limit), limit, "seq")

    @routes.get("/reconciliation", summary="The ledger of breaks between our book and the venue's, newest first")
    async def reconciliation(before: Before = None, limit: Limit = 100) -> Response:
        return page(await reads.fetch(queries.BREAKS, before, limit), limit, "seq")

    @routes.get("/risk/measures", summary="VaR, ES, exposures and back-tests, newest first")
    async def measures(before: Before = None, limit: Limit = 100) -> Response:
        rows = await reads.fetch(queries.MEASURES, before, limit)
        return page([_with_numbers(row) for row in rows], limit, "seq")

    @routes.get("/risk/stress", summary="What the book would lose in every scenario, as of the last test")
    async def stress() -> Response:
        return as_json({"items": [_with_numbers(row) for row in await reads.fetch(queries.STRESS)]})

    @routes.get("/alerts", summary="What somebody should have looked at, newest first")
    async def alerts(before: Before = None, limit: Limit = 100) -> Response:
        return page(await reads.fetch(queries.ALERTS, before, limit), limit, "seq")

    @routes.get("/runs", summary="Runs on the tape, newest first")
    async def runs(before: Before = None, limit: Limit = 100) -> Response:
        return page(await reads.fetch(queries.RUNS, before, limit), limit, "seq")


def _health(routes: APIRouter, link: Link) -> None:
    @routes.get("/health/services", summary="Which services are ready, wait for something, or are silent")
    async def services() -> Response:
        return as_json({"tape": {"up": link.up}, "services": link.services()})


def _with_numbers(row: Any) -> dict[str, Any]:
    """A row in which JSON columns are JSON again."""
    return {name: msgspec.Raw(value.encode()) if name in _JSON_COLUMNS else value for name, value in row.items()}


def _unknown(client_order_id: str) -> HTTPException:
    return HTTPException(404, f"there is no order {client_order_id!r}")
