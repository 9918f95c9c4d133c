"""Writes common.model.session_days: on which weekdays the exchanges of London, Tokyo and Sydney are closed or close early.

Tables for the reasons of tools/nyse_calendar.py, which writes New York's. Needs the extra `calendars` of ballast-research.

    python tools/session_calendar.py          write
    python tools/session_calendar.py --check  exit code 1 if the library now says otherwise
"""

from __future__ import annotations

import sys
from pathlib import Path

FIRST, LAST = 1997, 2032  # the library knows Tokyo from 1997 on
EXCHANGES = {"XLON": "Europe/London", "XTKS": "Asia/Tokyo", "XASX": "Australia/Sydney"}
EARLY_BEFORE = 15 * 60  # Tokyo has closed at 15:00 and at 15:30: both are full days
TARGET = Path(__file__).parent.parent / "libs/common/src/common/model/session_days.py"
HEAD = '''"""Written by tools/session_calendar.py from exchange_calendars: weekdays on which exchanges are closed, or close early.

By exchange and year, as MMDD; `EARLY_MINUTES` is when an early day ends, in minutes after midnight by the exchange's own clock. New
York's are in common.model.nyse.
"""

from __future__ import annotations

from typing import Final

FIRST_YEAR: Final = {first}
LAST_YEAR: Final = {last}
'''
Days = dict[int, list[str]]


def days(exchange: str) -> tuple[Days, Days, int]:
    """Closed and early weekdays by year, and the minute at which early days end (0: it has none)."""
    import exchange_calendars
    import pandas as pd

    calendar = exchange_calendars.get_calendar(exchange, start=f"{FIRST}-01-01", end=f"{LAST}-12-31")
    closed: Days = {year: [] for year in range(FIRST, LAST + 1)}
    early: Days = {year: [] for year in range(FIRST, LAST + 1)}
    for day in pd.bdate_range(f"{FIRST}-01-01", f"{LAST}-12-31").difference(calendar.sessions):
        closed[day.year].append(f"{day:%m%d}")
    ends = set()
    for day, at in calendar.schedule["close"].dt.tz_convert(EXCHANGES[exchange]).items():
        if (minutes := at.hour * 60 + at.minute) < EARLY_BEFORE:
            early[day.year].append(f"{day:%m%d}")
            ends.add(minutes)
    assert len(ends) <= 1, f"{exchange} closes early at different times: {ends}"
    return closed, early, ends.pop() if ends else 0


def table(name: str, found: dict[str, Days]) -> list[str]:
    lines = [f"{name}: Final[dict[str, dict[int, str]]] = {{"]
    for exchange, by_year in found.items():
        lines += [f'    "{exchange}": {{']
        lines += [f'        {year}: "{" ".join(on)}",' for year, on in by_year.items() if on]
        lines += ["    },"]
    return [*lines, "}"]


def text() -> str:
    all_days = {exchange: days(exchange) for exchange in EXCHANGES}
    lines = [HEAD.format(first=FIRST, last=LAST)]
    lines += table("CLOSED", {exchange: found[0] for exchange, found in all_days.items()})
    early = {exchange: found for exchange, found in all_days.items() if found[2]}
    lines += table("EARLY", {exchange: found[1] for exchange, found in early.items()})
    ends = ", ".join(f'"{exchange}": {found[2]}' for exchange, found in early.items())
    return "\n".join([*lines, f"EARLY_MINUTES: Final = {{{ends}}}", ""])


def main() -> int:
    if "--check" not in sys.argv:
        TARGET.write_text(text(), encoding="utf-8")
        return 0
    return int(TARGET.read_text(encoding="utf-8") != text())


if __name__ == "__main__":
    sys.exit(main())
