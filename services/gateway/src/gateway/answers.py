"""What routes take and give: kinds of parameters, pages of rows, JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from fastapi import Path, Query, Response

NO_ZERO: Final = r"^[^\x00]*$"  # PostgreSQL's text has no character 0
Text = Annotated[str | None, Query(max_length=100, pattern=NO_ZERO)]
Instrument = Annotated[str, Query(max_length=100, pattern=NO_ZERO)]
Before = Annotated[int | None, Query(ge=1, le=2**63 - 1, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=500)]
OrderId = Annotated[str, Path(max_length=200, pattern=NO_ZERO)]


def page(rows: Sequence[Any], limit: int, cursor: str) -> Response:
    """`next` is None on the last page. A page may be longer than its limit where rows that belong together share a cursor."""
    following = rows[-1][cursor] if len(rows) >= limit else None
    return as_json({"items": list(map(dict, rows)), "next": following})


def as_json(value: Any, status: int = 200) -> Response:
    return encoded(msgspec.json.encode(value), status)


def encoded(body: bytes, status: int = 200) -> Response:
    """What is JSON already."""
    return Response(body, status, media_type="application/json")
