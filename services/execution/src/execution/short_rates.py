"""Short rates from a file to settings: `python -m execution.short_rates FILE EUR USD > rates.toml`.

The file is csv or csv.gz with columns timestamp, country (ISO 3166 alpha-3) and rate_pct, monthly means as the OECD has them. What
comes out is laid over a profile; so the rates of a run are part of its configuration, and on the tape with it.
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from common.errors import DataError

# The euro area's rate is Germany's, also before there was a euro.
COUNTRIES: Final = {
    "AUD": "AUS", "CAD": "CAN", "CHF": "CHE", "EUR": "DEU", "GBP": "GBR", "JPY": "JPN", "NOK": "NOR", "NZD": "NZL",
    "DKK": "DNK", "HUF": "HUN", "ILS": "ISR", "KRW": "KOR", "IDR": "IDN", "USD": "USA",
}  # fmt: skip
LEAST_CHANGE: Final = 0.0005
_DELAY_MONTHS: Final = 1  # the mean of a month is known when it is over
_COLUMNS: Final = ("timestamp", "country", "rate_pct")


def from_file(path: Path, currencies: Sequence[str]) -> dict[str, Any]:
    """Values for `[execution.financing] rates`. A rate holds from the month after the one it is the mean of, so that no run knows it
    early; changes below 5 basis points are left out. Raises DataError.
    """
    if unknown := [currency for currency in currencies if currency not in COUNTRIES]:
        raise DataError(f"currency {unknown[0]!r}: expected one of {', '.join(COUNTRIES)}")
    by_country: dict[str, dict[date, float]] = {}
    for country, day, rate in _rows(path):
        months = by_country.setdefault(country, {})
        if months.setdefault(day, rate) != rate and country in {COUNTRIES[currency] for currency in currencies}:
            raise DataError(
                f"{path}: {country} has two rates for {day}, {months[day]:.4%} and {rate:.4%}; expected one"
            )
    if absent := [currency for currency in currencies if COUNTRIES[currency] not in by_country]:
        raise DataError(f"{path}: has no rate of {COUNTRIES[absent[0]]}, whose currency is {absent[0]}")
    return {currency: list(_steps(sorted(by_country[COUNTRIES[currency]].items()))) for currency in currencies}


def _rows(path: Path) -> Iterator[tuple[str, date, float]]:
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if absent := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
                raise DataError(f"{path}: has no column {', '.join(absent)}")
            for number, row in enumerate(reader, start=2):
                try:
                    yield row["country"], date.fromisoformat(row["timestamp"][:10]), float(row["rate_pct"]) / 100
                except (TypeError, ValueError):
                    raise DataError(f"{path}: row {number}: expected a date, a country and a number") from None
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as csv: {error}") from None


def _steps(rows: Sequence[tuple[date, float]]) -> Iterator[dict[str, Any]]:
    last = None
    for day, rate in rows:
        if last is None or abs(rate - last) >= LEAST_CHANGE:
            last = rate
            month = day.year * 12 + day.month - 1 + _DELAY_MONTHS
            yield {"since": date(month // 12, month % 12 + 1, 1).isoformat(), "rate": round(rate, 6)}


def main(arguments: Sequence[str]) -> str:
    """The TOML of `FILE CURRENCY…`."""
    lines = ["[execution.financing.rates]"]
    for currency, rows in from_file(Path(arguments[0]), arguments[1:]).items():
        lines += [f"{currency} = [", *(f'  {{ since = "{row["since"]}", rate = {row["rate"]} }},' for row in rows), "]"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1:]) + "\n")
