"""What a projection is made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

from common.messages.base import Envelope, Message

Row = tuple[Any, ...]


class Write(NamedTuple):
    """One row for one table."""

    table: str
    row: Row


Rule = Callable[[int, Envelope, Any], list[Write]]


def values(of: Any, names: tuple[str, ...]) -> Row:
    """Those fields, two at least, in that order."""
    row: Row = _getter(names)(of)
    return row


@cache
def _getter(names: tuple[str, ...]) -> attrgetter[Any]:
    return attrgetter(*names)


def whole(table: str, names: tuple[str, ...]) -> Rule:
    """The rule for a message whose fields are the row."""

    def rule(seq: int, envelope: Envelope, message: Any) -> list[Write]:
        return [Write(table, (seq, message.ts_event, *values(message, names)))]

    return rule


def order_event(
    seq: int, item: int, message: Message, order_id: str, instrument_id: str | None, state: str | None, note: str
) -> Write:
    """That something was said about an order."""
    return Write("order_events", (seq, item, message.ts_event, message.TYPE, order_id, instrument_id, state, note))
