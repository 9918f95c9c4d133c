"""How venues write instants, as nanoseconds UTC."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from common.model.time import NS_PER_SECOND, from_datetime, to_datetime

_RFC3339: Final = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|z|[+-]\d\d:\d\d)")


def rfc3339_ns(text: str) -> int:
    """`2021-02-22T15:51:45.335689322Z`, to the nanosecond. Raises ValueError."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r:.40} is no time")
    whole = from_datetime(datetime.fromisoformat(match[1] + ("+00:00" if match[3] in "Zz" else match[3])))
    return whole + int((match[2] or "0")[:9].ljust(9, "0"))


def to_rfc3339(ts_ns: int) -> str:
    """Whole seconds, in UTC."""
    return to_datetime(ts_ns // NS_PER_SECOND * NS_PER_SECOND).isoformat().replace("+00:00", "Z")


def from_ms(value: Any) -> int:
    """Milliseconds since 1970; 0 where the venue names no time."""
    return 0 if value is None else round(value * 1_000_000)
