"""`python -m execution.reference_venue [--port 8300] [--cash USD=100000] [--price EUR-USD.ECB=1.1] [--fee-bps 0.2]`

Says its address as one line of JSON, then serves until SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from common.errors import BallastError, ConfigError
from execution.reference_venue.app import ReferenceVenue
from execution.reference_venue.exchange import Exchange
from execution.reference_venue.server import bind, server

EXIT_CONFIG = 78  # sysexits: EX_CONFIG


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="reference_venue")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8300)
    parser.add_argument("--cash", action="append", default=[], metavar="CURRENCY=AMOUNT")
    parser.add_argument("--price", action="append", default=[], metavar="INSTRUMENT=PRICE")
    parser.add_argument("--fee-bps", type=Decimal, default=Decimal(0))
    given = parser.parse_args(arguments)
    try:
        venue = ReferenceVenue(Exchange(_amounts(given.cash), given.fee_bps))
        venue.exchange.move(_amounts(given.price))
        listening, url = bind(given.host, given.port)
    except BallastError as error:
        print(json.dumps({"event": "configuration", "error": str(error)}), file=sys.stderr)  # noqa: T201
        return EXIT_CONFIG
    print(json.dumps({"url": url}), flush=True)  # noqa: T201
    asyncio.run(server(venue).serve([listening]))
    return 0


def _amounts(pairs: Sequence[str]) -> dict[str, Decimal]:
    try:
        return {name: Decimal(amount) for name, _, amount in (pair.partition("=") for pair in pairs)}
    except InvalidOperation:
        raise ConfigError(f"{' '.join(pairs)}: expected NAME=NUMBER") from None


if __name__ == "__main__":
    sys.exit(main())
