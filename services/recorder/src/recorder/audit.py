"""The audit log as a chain: every entry's hash covers the entry and the hash before it.

Whoever changes, removes or inserts a row afterwards would have to compute every later hash anew; the last hash, written
down elsewhere, shows even that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec

from common import messages as m
from common.messages.base import Message

GENESIS: Final = "0" * 64
AUDITED: Final[dict[type[Message], str]] = {
    m.HaltTrading: "halt",
    m.ResumeTrading: "resume",
    m.HaltScope: "halt scope",
    m.ProposeOrders: "order",
    m.CancelOrder: "cancel",
    m.AmendOrder: "amend",
    m.RunStress: "stress",
    m.AcknowledgeAlert: "acknowledge",
    m.EnableFeature: "enable feature",
    m.OverrideRegime: "override regime",
}
Command = (
    m.HaltTrading
    | m.ResumeTrading
    | m.HaltScope
    | m.ProposeOrders
    | m.CancelOrder
    | m.AmendOrder
    | m.RunStress
    | m.AcknowledgeAlert
    | m.EnableFeature
    | m.OverrideRegime
)


def reason(command: Command) -> str:
    """What it was about, in words for people."""
    match command:
        case m.HaltScope():
            scope = " in ".join(filter(None, (command.strategy_id, command.instrument_id)))
            return f"{'halt' if command.halted else 'resume'} {scope}: {command.reason}"
        case m.ProposeOrders():
            orders = (
                f"{o.client_order_id} {o.side} {o.qty:f} {o.instrument_id} {o.order_type}" for o in command.orders
            )
            return "; ".join(orders)
        case m.CancelOrder():
            return f"{command.client_order_id}: {command.reason}"
        case m.AmendOrder():
            return f"{command.client_order_id}: qty {command.qty}, limit {command.limit_px}, stop {command.stop_px}"
        case m.AcknowledgeAlert():
            return command.alert_id
        case m.EnableFeature():
            return f"{command.service} {command.feature}: {command.reason}"
        case m.OverrideRegime():
            what = f"{command.instrument_id or 'all instruments'} {command.regime or 'as detected'}"
            return f"{what} until {command.expires_ns}: {command.reason}"
        case m.RunStress():
            return "on demand"
        case _:
            return command.reason


def seal(previous: str, row: Sequence[Any]) -> str:
    """Hash of an entry, 64 hex digits, given the hash of the entry before it (`GENESIS` for the first)."""
    return sha256(previous.encode() + msgspec.json.encode(row)).hexdigest()


def sealed(previous: str, rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows with two more columns: the hash before and the own one."""
    result = []
    for row in rows:
        link = seal(previous, row)
        result.append((*row, previous, link))
        previous = link
    return result


def first_break(rows: Iterable[tuple[Any, ...]]) -> int | None:
    """Sequence (first column) of the first entry that does not follow from the one before; None when all do."""
    previous = GENESIS
    for *row, before, link in rows:
        if before != previous or link != seal(before, tuple(row)):
            return int(row[0])
        previous = link
    return None
