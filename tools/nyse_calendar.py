"""Writes common.model.nyse: on which weekdays the New York Stock Exchange is closed or closes early.

A table, because pandas and a calendar library have no business in a service that starts in a tenth of a second, and because a replay
in ten years shall see the calendar of today. Needs the extra `calendars` of ballast-research.

    python tools/nyse_calendar.py          write
    python tools/nyse_calendar.py --check  exit code 1 if the library now says otherwise
"""

from __future__ import annotations

import sys
from pathlib import Path

FIRST, LAST = 1990, 2032
USUAL_CLOSE = 16 * 60
TARGET = Path(__file__).parent.parent / "libs/common/src/common/model/nyse.py"
HEAD = '''"""Written by tools/nyse_calendar.py from exchange_calendars (XNYS): what differs from weekdays 9:30 to 16:00 in New York.

`CLOSED` by year, as MMDD; `EARLY` closes by date, in minutes after midnight. It has never opened late.
"""

from __future__ import annotations

from typing import Final

FIRST_YEAR: Final = {first}
LAST_YEAR: Final = {last}
'''


def text() -> str:
    import exchange_calendars
    import pandas as pd

    calendar = exchange_calendars.get_calendar("XNYS", start=f"{FIRST}-01-01", end=f"{LAST}-12-31")
    weekdays = pd.bdate_range(f"{FIRST}-01-01", f"{LAST}-12-31")
    closed: dict[int, list[str]] = {year: [] for year in range(FIRST, LAST + 1)}
    for day in weekdays.difference(calendar.sessions):
        closed[day.year].append(f"{day:%m%d}")
    local = {name: calendar.schedule[name].dt.tz_convert("America/New_York") for name in ("open", "close")}
    assert all((at.hour, at.minute) == (9, 30) for at in local["open"])
    lines = [HEAD.format(first=FIRST, last=LAST), "CLOSED: Final = {"]
    lines += [f'    {year}: "{" ".join(days)}",' for year, days in closed.items()]
    lines += ["}", "EARLY: Final = {"]
    for day, at in local["close"].items():
        if (minutes := at.hour * 60 + at.minute) != USUAL_CLOSE:
            lines.append(f'    "{day:%Y-%m-%d}": {minutes},')
    return "\n".join([*lines, "}", ""])


def main() -> int:
    if "--check" not in sys.argv:
        TARGET.write_text(text(), encoding="utf-8")
        return 0
    return int(TARGET.read_text(encoding="utf-8") != text())


if __name__ == "__main__":
    sys.exit(main())
