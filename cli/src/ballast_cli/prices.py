"""`ballast prices`: what each symbol is quoted at by every venue of the run, side by side (MKT-08)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.table import Table

from ballast_cli.operator import endpoints_of
from common.contracts import pattern
from common.errors import BallastError
from common.messages.base import Message
from common.messages.market_data import Bar, MarketSlice, Quote
from common.model.time import iso
from common.runtime.codec import decode, decode_envelope
from common.runtime.embedded.endpoints import Endpoints
from common.runtime.nats_tape import NatsTape


def prices(home: Path) -> dict[str, Any]:
    """Of the last slice on the tape of the system running here. Raises BallastError where there is none."""
    return asyncio.run(_last(endpoints_of(home)))


async def _last(endpoints: Endpoints) -> dict[str, Any]:
    tape = await NatsTape.connect(endpoints.login("operator"))
    try:
        record = await tape.last([pattern(MarketSlice)])
    finally:
        await tape.close()
    return of_slice(decode(decode_envelope(record.payload)) if record else None)


def of_slice(last: Message | None) -> dict[str, Any]:
    """The last thing said of the market. Raises BallastError where it holds no price: over a weekend it is the end of a week."""
    if not isinstance(last, MarketSlice):
        raise BallastError("no prices yet: the run has not said a slice")
    symbols = side_by_side(last)
    if not symbols:
        raise BallastError(f"no prices at {iso(last.ts_event)}: nothing was quoted in the period that ended then")
    return {"ts_event": iso(last.ts_event), "symbols": symbols}


def side_by_side(of: MarketSlice) -> list[dict[str, Any]]:
    """Every symbol with its venues, in order of names. `spread_bps` is the best bid less the best ask of all venues, in basis points
    of their middle: above 0 one buys at one venue and sells at another with a profit, before costs. None with one venue alone.
    """
    by_symbol: dict[str, list[dict[str, Any]]] = {}
    for instrument_id, bid, ask in sorted(_two_sided(of)):
        symbol, _, venue = instrument_id.rpartition(".")
        by_symbol.setdefault(symbol, []).append({"venue": venue, "bid": bid, "ask": ask})
    return [
        {"symbol": symbol, "spread_bps": _spread_bps(venues), "venues": venues} for symbol, venues in by_symbol.items()
    ]


def tables(result: dict[str, Any]) -> list[Table]:
    """One row for each venue of each symbol."""
    table = Table(title=f"prices at {result['ts_event']}")
    for column in ("symbol", "venue", "bid", "ask", "best bid - best ask, bps"):
        table.add_column(column, justify="left" if column in {"symbol", "venue"} else "right")
    for one in result["symbols"]:
        spread = "-" if one["spread_bps"] is None else f"{one['spread_bps']:.2f}"
        for place, venue in enumerate(one["venues"]):
            named = (one["symbol"], spread) if place == 0 else ("", "")
            table.add_row(named[0], venue["venue"], f"{venue['bid']:.10g}", f"{venue['ask']:.10g}", named[1])
    return [table]


def _two_sided(of: MarketSlice) -> Iterable[tuple[str, float, float]]:
    """Quotes; closes of base bars where there are none, with half their spread on either side."""
    quoted = {quote.instrument_id: _quote(quote) for quote in of.quotes}
    return ({bar.instrument_id: _bar(bar) for bar in of.bars if bar.base} | quoted).values()


def _quote(quote: Quote) -> tuple[str, float, float]:
    return quote.instrument_id, quote.bid, quote.ask


def _bar(bar: Bar) -> tuple[str, float, float]:
    half = (bar.spread_close or 0.0) / 2
    return bar.instrument_id, bar.close - half, bar.close + half


def _spread_bps(venues: list[dict[str, Any]]) -> float | None:
    if len(venues) < 2:
        return None
    bid, ask = max(one["bid"] for one in venues), min(one["ask"] for one in venues)
    return float((bid - ask) / ((bid + ask) / 2) * 1e4)
