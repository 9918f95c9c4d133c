"""REST about markets: bars, regimes and what models say of them, sessions, volume, feeds, what is scheduled."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Response

from common.messages.market_data import Impact
from common.model import trading_sessions
from common.model.sessions import Calendar, is_open
from common.model.time import NS_PER_DAY, Timeframe
from gateway import adaptive, heatmap, hot, market_queries, profile, ribbon
from gateway.answers import Before, Instrument, Limit, Text, as_json, encoded, page
from gateway.reads import Reads

FILLS: Final = 5000  # the newest that win rates are counted from
BAR: Final = ("ts_event", "open", "high", "low", "close", "volume")
MODEL: Final = (
    *("ts_event", "bull", "bear", "sideways", "high_volatility"),
    *("forecast_vol", "change_24h", "change_48h"),
)
Points = Annotated[int, Query(ge=1, le=1000)]
Least = Annotated[float, Query(gt=0, le=1)]
Most = Annotated[float, Query(ge=1, le=100)]
Days = Annotated[int, Query(ge=1, le=366)]


def add_markets(routes: APIRouter, reads: Reads) -> None:
    _regimes(routes, reads)
    _series(routes, reads)
    _sessions(routes, reads)
    _feeds(routes, reads)


def _regimes(routes: APIRouter, reads: Reads) -> None:
    @routes.get(
        "/regime/models", summary="Probabilities of bull, bear and sideways, and of a change within a day or two"
    )
    async def models(instrument_id: Text = None) -> Response:
        return as_json(hot.models(await reads.view(), instrument_id))

    @routes.get("/regime/market", summary="Stress of the market as a whole and its parts, crisis, running overrides")
    async def market() -> Response:
        return as_json(hot.market(await reads.view()))

    @routes.get("/regime/market/history", summary="Stress and its parts, newest first")
    async def stress(before: Before = None, limit: Limit = 100) -> Response:
        return page(await reads.fetch(market_queries.STRESS, before, limit), limit, "seq")

    @routes.get("/regime/overrides", summary="Regimes set or lifted by hand, or expired, newest first")
    async def overrides(before: Before = None, limit: Limit = 100) -> Response:
        return page(await reads.fetch(market_queries.OVERRIDES, before, limit), limit, "seq")


def _series(routes: APIRouter, reads: Reads) -> None:
    @routes.get("/regime/chart", summary="Newest bars, regimes as a ribbon, and probabilities, by column, oldest first")
    async def chart(instrument_id: Instrument, timeframe: Timeframe, points: Points = 300) -> Response:
        which = (instrument_id, timeframe, points)

        async def make() -> bytes:
            bars = await reads.fetch(market_queries.BARS, *which)
            labels = await reads.fetch(market_queries.LABELS, *which)
            models = await reads.fetch(market_queries.MODELS, *which)
            return msgspec.json.encode(
                {
                    "bars": ribbon.columns(bars[::-1], BAR),
                    "spans": ribbon.spans(labels[::-1]),
                    "models": ribbon.columns(models[::-1], MODEL),
                }
            )

        return encoded(await reads.made(("chart", *which), make))

    @routes.get("/prices/profile", summary="Point of control and value area of the last 168 hours of the market")
    async def levels(instrument_id: Instrument) -> Response:
        found = await reads.fetch(market_queries.BINS, instrument_id, *profile.WINDOW)
        return as_json(profile.answer(found))

    @routes.get(
        "/signals/thresholds", summary="When adaptive thresholds changed over the last 100 hours, and why, newest first"
    )
    async def changes(
        instrument_id: Instrument, least: Least = adaptive.LEAST, most: Most = adaptive.MOST, limit: Limit = 50
    ) -> Response:
        async def make() -> bytes:
            hours = await reads.fetch(market_queries.TRAVELLED, instrument_id, *adaptive.WINDOW)
            return msgspec.json.encode(adaptive.answer(hours, least, most, limit))

        return encoded(await reads.made(("thresholds", instrument_id, least, most, limit), make))


def _sessions(routes: APIRouter, reads: Reads) -> None:
    @routes.get("/sessions", summary="Which sessions are open at data time, and when each opens and closes next")
    async def sessions() -> Response:
        return as_json(clock(hot.data_time(await reads.view())))

    @routes.get("/sessions/heatmap", summary="Hour by instrument: mean move and win rate, with their sample sizes")
    async def hours(days: Days = 60) -> Response:
        async def make() -> bytes:
            names = hot.instrument_ids(await reads.view())
            moves = await reads.fetch(market_queries.MOVES, tuple(names), days * NS_PER_DAY)
            fills = await reads.fetch(market_queries.FILLS, FILLS)
            cells = heatmap.cells([dict(row) for row in moves], heatmap.outcomes(fills))
            return msgspec.json.encode({"days": days, "fills": len(fills), "instruments": names, "items": cells})

        return encoded(await reads.made(("hours", days), make))


def _feeds(routes: APIRouter, reads: Reads) -> None:
    @routes.get("/feeds", summary="The feed that each instrument's prices come from, and how well every feed does")
    async def feeds() -> Response:
        return as_json({"items": hot.feeds(await reads.view())})

    @routes.get("/feeds/history", summary="Changes of feeds with their reasons, newest first")
    async def changes(instrument_id: Text = None, before: Before = None, limit: Limit = 100) -> Response:
        return page(await reads.fetch(market_queries.FEED_CHANGES, instrument_id, before, limit), limit, "seq")

    @routes.get("/events", summary="What is scheduled next in the economic calendar, at data time")
    async def events(impact: Impact | None = None, currency: Text = None, limit: Limit = 20) -> Response:
        now = hot.data_time(await reads.view())
        return as_json(
            {
                "ts_event": now,
                "items": list(map(dict, await reads.fetch(market_queries.EVENTS, now, impact, currency, limit))),
            }
        )


def clock(ts: int) -> dict[str, Any]:
    """Sessions at `ts`; all empty before there is a data time (0)."""
    if not ts:
        return {"ts_event": None, "session": None, "overlap": "", "fx_open": None, "items": []}
    return {
        "ts_event": ts,
        "session": trading_sessions.session(ts),
        "overlap": trading_sessions.overlap(ts),
        "fx_open": is_open(Calendar.FX_WEEK, ts),
        "items": [{**one._asdict(), "open": one.is_open(ts)} for one in trading_sessions.clock(ts)],
    }
