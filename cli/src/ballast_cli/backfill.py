"""`ballast data backfill`: bars of the past from a venue, into a directory that `--data` reads (MKT-05)."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ballast_cli import output
from ballast_cli.arguments import Json
from ballast_cli.progress import Bar
from common.errors import ConfigError
from common.model.time import Timeframe, from_datetime


def backfill(
    venue: Annotated[str, typer.Option(help="alpaca, binance, coinbase, kraken or oanda")],
    symbols: Annotated[str, typer.Option(help="BTC-USD or AAPL; several with commas")],
    into: Annotated[Path, typer.Option(help="directory for the files; what is there already is not asked for again")],
    start: Annotated[str, typer.Option(help="first bar opens at this date or time (UTC)")],
    end: Annotated[str | None, typer.Option(help="last bar closes by this date or time (UTC); default: now")] = None,
    timeframe: Annotated[Timeframe, typer.Option(help="length of a bar")] = Timeframe.H1,
    key_file: Annotated[Path | None, typer.Option(help="file with the key, where the venue needs one")] = None,
    rate: Annotated[
        int | None, typer.Option(min=2, max=1_000_000, help="requests a minute; default: what the venue allows")
    ] = None,
    url: Annotated[str, typer.Option(help="another server than the venue's own")] = "",
    seed: Annotated[int, typer.Option(min=0, help="of the pauses between attempts")] = 0,
    as_json: Json = False,
) -> None:
    """Fetch past bars; ask only for what is missing, as fast as the venue allows; go on where it was interrupted."""
    from market_data.backfill.link import GaveUpError, LinkSettings
    from market_data.backfill.run import Wish
    from market_data.backfill.run import backfill as run
    from market_data.backfill.venue import Limit
    from market_data.backfill.venues import venue as named

    _check(into, url)
    wish = Wish(
        symbols=tuple(symbol.strip() for symbol in symbols.split(",") if symbol.strip()),
        timeframe=timeframe,
        start_ns=_instant("--start", start),
        end_ns=time.time_ns() if end is None else _instant("--end", end),
    )
    with Bar("backfill", total=1.0, show=not as_json and sys.stderr.isatty()) as bar:
        fetching = run(
            named(venue),
            wish,
            into,
            clock=time.time_ns,
            url=url,
            key_file=key_file,
            limit=None if rate is None else Limit(requests=rate, burst=min(20, rate - 1)),
            settings=LinkSettings(seed=seed),
            said=bar.to,
        )
        try:
            result = asyncio.run(fetching)
        except GaveUpError as error:
            said = f"{error}; what was had is kept, the same command goes on from there"
            if as_json:
                output.answer({"error": said}, as_json)
            else:
                output.err.print(f"ballast: {said}", markup=False, soft_wrap=True)
            raise typer.Exit(output.UNAVAILABLE) from None
    output.answer(result if as_json else _in_words(result), as_json)


def _check(into: Path, url: str) -> None:
    """Before the first request: what comes can be kept, and there is a server to ask. Raises ConfigError."""
    there = next(place for place in (into.absolute(), *into.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ConfigError(f"--into {into}: {there} is no directory that may be written; expected one")
    if url and not url.startswith(("http://", "https://")):
        raise ConfigError(f"--url {url}: expected http://... or https://...")


def _instant(option: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option} {text}: expected a date or time such as 2017-01-31 or 2017-01-31T14:00") from None
    return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _in_words(result: dict[str, Any]) -> dict[str, Any]:
    files = {symbol: f"{of['bars']:,} bars, {of['new']:,} new: {of['file']}" for symbol, of in result["files"].items()}
    times = result["response_times"]
    asked = f"{result['requests']:,} requests, {result['failures']:,} failures"
    if times["answers"]:
        asked += f"; answers within {times['p50_ms']:,.0f} ms (half), {times['p99_ms']:,.0f} ms (99 %)"
    notes = {"note": "; ".join(result["notes"])} if result["notes"] else {}
    return {"span": f"{result['start']} to {result['end']}", **files, "asked": asked, **notes}
