"""The names of things on NATS, all built here."""

from __future__ import annotations

import re
from typing import Final

from common.contracts import ROUTES
from common.messages.base import Message

STREAM: Final = "TAPE"
DEAD_LETTERS: Final = "DEAD_LETTERS"
SNAPSHOTS: Final = "snapshots"
LEASES: Final = "leases"

_TOKEN = re.compile(r"[A-Za-z0-9_-]+")


def subject(message: Message) -> str:
    """`order.approved.v1.<account>.<strategy>`. Raises ValueError when an id would not be one token."""
    ids = ROUTES[type(message)].ids(message)
    for token in ids:
        if not _TOKEN.fullmatch(token):
            raise ValueError(f"{message.TYPE}: {token!r} cannot be a subject token (letters, digits, - and _ only)")
    return ".".join((message.TYPE, *ids))


def dead_letter(service: str) -> str:
    """Outside the tape's stream: a dead letter must not feed itself."""
    return f"dead_letter.{service}"


def lease(service: str) -> str:
    """The key of a lease, in a bucket of its own."""
    return f"$KV.{LEASES}.{service}"


def heartbeat(service: str) -> str:
    """Core NATS, lossy."""
    return f"heartbeat.{service}"
