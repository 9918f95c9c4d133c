"""Where prices come from. `open_feed` is the only door; a new source is one module and one line here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from common.errors import DataError
from market_data.feed import Feed
from market_data.feeds.column_feed import Request
from market_data.settings import Settings

HOURS: Final = Path(__file__).parent.parent / "data"  # EURUSD 2017, as a directory like any other


def open_feed(
    spec: str,
    *,
    settings: Settings,
    start_ns: int | None = None,
    end_ns: int | None = None,
    symbols: tuple[str, ...] | None = None,
    seed: int | None = None,
) -> Feed:
    """The feed that `spec` names: `builtin` (daily fixings), `builtin-h1` (a year of EURUSD hours), `synthetic:NAME` or
    `synthetic:NAME:1m`, or a directory of data files.

    What closes after `start_ns` and not after `end_ns`. `symbols` and `seed` override the settings. Raises DataError.
    """
    request = Request(start_ns=start_ns, end_ns=end_ns, symbols=settings.symbols if symbols is None else symbols)
    if spec == "builtin":
        from market_data.feeds.builtin import reference_rates

        return reference_rates(request, settings)
    if synthetic := re.fullmatch(r"synthetic:([^:]*)(?::(.*))?", spec):
        from market_data.feeds.synthetic import simulate

        return simulate(synthetic[1], synthetic[2] or "1h", settings.seed if seed is None else seed, request, settings)
    directory = HOURS if spec == "builtin-h1" else Path(spec)
    if not directory.is_dir():
        raise DataError(
            f"data {spec!r}: no such directory; expected builtin, builtin-h1, synthetic:NAME or a directory of csv, "
            "csv.gz or parquet files"
        )
    from market_data.feeds.replay import open_directory

    return open_directory(directory, request, settings)
