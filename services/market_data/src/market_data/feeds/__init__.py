"""Where prices come from. `open_feed` is the only door; a new source is one module and one line here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from common.errors import DataError
from market_data.feeds.column_feed import ColumnFeed, Request
from market_data.settings import Settings

LIVE: Final = "live"
HOURS: Final = Path(__file__).parent.parent / "data"  # EURUSD 2017, as a directory like any other


def open_feed(
    spec: str,
    *,
    settings: Settings,
    start_ns: int | None = None,
    end_ns: int | None = None,
    symbols: tuple[str, ...] | None = None,
    seed: int | None = None,
) -> ColumnFeed:
    """The feed that `spec` names: `builtin` (daily fixings), `builtin-h1` (a year of EURUSD hours), `synthetic:NAME` or
    `synthetic:NAME:1m`, a directory of data files, `paths:KIND:SEED:DATA` (another course of any of these) or
    `altered:KIND:SEED:AFTER_NS:DATA` (another future).

    What closes after `start_ns` and not after `end_ns`. `symbols` and `seed` override the settings. Raises DataError.
    """
    if spec == LIVE:
        raise DataError('data "live": prices that are not there yet cannot be read; only `ballast up` follows them')
    request = Request(start_ns=start_ns, end_ns=end_ns, symbols=settings.symbols if symbols is None else symbols)
    if spec == "builtin":
        from market_data.feeds.builtin import reference_rates

        return reference_rates(request, settings)
    if synthetic := re.fullmatch(r"synthetic:([^:]*)(?::(.*))?", spec):
        from market_data.feeds.synthetic import simulate

        return simulate(synthetic[1], synthetic[2] or "1h", settings.seed if seed is None else seed, request, settings)
    if path := re.fullmatch(r"paths:([^:]*):([0-9]{1,18}):(.+)", spec):
        from market_data.feeds.paths import imagine

        real = open_feed(path[3], settings=settings, start_ns=start_ns, end_ns=end_ns, symbols=symbols, seed=seed)
        return imagine(spec, path[1], int(path[2]), real, settings)
    if altered := re.fullmatch(r"altered:([a-z]*):([0-9]{1,18}):([0-9]{1,19}):(.+)", spec):
        from market_data.feeds.altered import alter

        real = open_feed(altered[4], settings=settings, start_ns=start_ns, end_ns=end_ns, symbols=symbols, seed=seed)
        return alter(spec, altered[1], int(altered[2]), int(altered[3]), real)
    directory = HOURS if spec == "builtin-h1" else Path(spec)
    if not directory.is_dir():
        raise DataError(
            f"data {spec!r}: no such directory; expected builtin, builtin-h1, synthetic:NAME or a directory of csv, "
            "csv.gz or parquet files, or paths:KIND:SEED:DATA"
        )
    from market_data.feeds.replay import open_directory

    return open_directory(directory, request, settings)
