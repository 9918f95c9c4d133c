"""The hot state as read from Redis, and what the API shows of it: pure functions of one consistent view."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import redis.asyncio

from common.model.ledger import Position
from common.runtime.redis import (
    BOOK,
    FEEDS,
    HASHES,
    LADDERS,
    MODELS,
    OVERRIDES,
    PRICES,
    REGIMES,
    SIGNALS,
    TAPE,
    RedisError,
    key,
    plainly,
)

View = dict[str, dict[str, Any]]  # by hash and field, decoded


async def read(client: redis.asyncio.Redis) -> View:
    """All of it as of one moment. Raises RedisError when Redis is out of reach or has been wiped."""
    with plainly():
        async with client.pipeline(transaction=True) as pipeline:
            for name in HASHES:
                pipeline.hgetall(key(name))
            found = await pipeline.execute()
    view = {
        name: {field: msgspec.json.decode(value) for field, value in fields.items()}
        for name, fields in zip(HASHES, found, strict=True)
    }
    if "seq" not in view[TAPE]:
        raise RedisError("Redis: holds no hot state; the recorder fills it from PostgreSQL")
    return view


def status(view: View) -> dict[str, Any]:
    """What runs, how far it is, and whether it may trade."""
    run = {name: value for name, value in view[BOOK].get("run", {}).items() if name != "config"}
    return {
        "run": run or None,
        "tape": {"seq": view[TAPE]["seq"], "ts_event": view[TAPE].get("ts_event")},
        "trading_state": trading_state(view),
        "ended": view[BOOK].get("ended"),
    }


def trading_state(view: View) -> dict[str, Any]:
    """Since when, why and by whom, where it has ever changed."""
    changed, risk = view[BOOK].get("trading_state"), view[BOOK].get("risk", {})
    if changed:
        names = ("state", "previous", "reason", "author", "ts_event", "seq")
        return {name: changed[name] for name in names}
    return {"state": risk.get("trading_state", "ACTIVE"), "reason": "as configured"}


def prices(view: View) -> list[dict[str, Any]]:
    return [{"instrument_id": name, **price} for name, price in sorted(view[PRICES].items())]


def regimes(view: View, instrument_id: str | None) -> list[dict[str, Any]]:
    found = [reading for _, reading in sorted(view[REGIMES].items())]
    return [reading for reading in found if instrument_id in (None, reading["instrument_id"])]


def models(view: View, instrument_id: str | None) -> list[dict[str, Any]]:
    """What the fitted models said last of each instrument and timeframe; empty where nobody fitted one."""
    found = [reading for _, reading in sorted(view[MODELS].items())]
    return [reading for reading in found if instrument_id in (None, reading["instrument_id"])]


def market(view: View) -> dict[str, Any]:
    """The market as a whole: None before anything was said of it."""
    return {"market": view[BOOK].get("market"), "overrides": overrides(view), "as_of": view[TAPE]}


def overrides(view: View) -> list[dict[str, Any]]:
    """Those that hold at data time; an empty instrument is all of them."""
    now = data_time(view)
    said = (one for _, one in sorted(view[OVERRIDES].items()))
    return [one for one in said if one["regime"] is not None and one["expires_ns"] > now]


def data_time(view: View) -> int:
    """What time it is in the market, ns UTC; 0 before the first slice."""
    now: int = view[TAPE].get("ts_event", 0)
    return now


def feeds(view: View) -> list[dict[str, Any]]:
    """Every feed that was heard of, by instrument. Active is the one that was said to be so last, if any."""
    said = [one for _, one in sorted(view[FEEDS].items())]
    newest = {one["instrument_id"]: one["seq"] for one in sorted(said, key=_seq) if one["active"]}
    return [{**one, "active": newest.get(one["instrument_id"]) == one["seq"]} for one in said]


def instrument_ids(view: View) -> list[str]:
    """Of the run, in the order in which they were defined."""
    return [one["instrument_id"] for one in view[BOOK].get("instruments", {}).get("instruments", ())]


def _seq(said: dict[str, Any]) -> int:
    seq: int = said["seq"]
    return seq


def signals(view: View) -> list[dict[str, Any]]:
    return [signal for _, signal in sorted(view[SIGNALS].items())]


def risk(view: View) -> dict[str, Any]:
    """The guardian's last word on the book, its ladders, and the trading state."""
    return {
        **view[BOOK].get("risk", {}),
        "trading_state": trading_state(view),
        "ladders": [ladder for _, ladder in sorted(view[LADDERS].items())],
        "as_of": view[TAPE],
    }


def portfolio(view: View) -> dict[str, Any]:
    """Equity, exposures and cash, with the positions that make them up."""
    own, guardian = view[BOOK].get("portfolio", {}), view[BOOK].get("risk", {})
    return {
        "currency": view[BOOK].get("instruments", {}).get("account_currency"),
        **{name: own.get(name) for name in ("equity", "gross_exposure", "net_exposure", "total_risk", "step")},
        "peak_equity": guardian.get("peak_equity"),
        "drawdown": guardian.get("drawdown"),
        "cash": view[BOOK].get("execution", {}).get("cash", {}),
        "open_orders": view[BOOK].get("execution", {}).get("open_orders", []),
        "positions": positions(view),
        "as_of": view[TAPE],
    }


def positions(view: View) -> list[dict[str, Any]]:
    """Open ones and flat ones with a realized profit. Profits are in the instrument's quote currency."""
    quotes = {one["instrument_id"]: one["quote"] for one in view[BOOK].get("instruments", {}).get("instruments", ())}
    held = msgspec.convert(view[BOOK].get("execution", {}).get("positions", ()), list[Position])
    return [_position(position, view[PRICES].get(position.instrument_id), quotes) for position in held]


def _position(position: Position, price: dict[str, Any] | None, quotes: dict[str, str]) -> dict[str, Any]:
    last_px = Decimal(repr(price["px"])) if price else None
    unrealized = position.signed_qty * (last_px - position.avg_px) if last_px is not None else None
    return {
        **msgspec.structs.asdict(position),
        "quote": quotes.get(position.instrument_id),
        "last_px": last_px,
        "unrealized": unrealized,
    }
