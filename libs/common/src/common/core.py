"""What a service core is: a deterministic function of the tape, with its state in one value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from common.messages.base import Message


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """Something only the shell can do (write to a database, talk to a venue). The answer comes back on the tape."""


class Core(Protocol):
    """`handle` may not look at a clock, a random number or the outside world: same inputs, same outputs.

    `state` is everything the core remembers, as a msgspec.Struct (numpy arrays allowed): a snapshot of it, put into a
    fresh core of the same settings, goes on exactly where the old one was.
    """

    state: Any

    def handle(self, message: Message) -> Sequence[Message | Effect]:
        """Answers one message from the tape. Raises only on bugs."""
        ...

    def pending(self) -> Sequence[Effect]:
        """Effects asked for and not yet answered; a restarted shell runs them again, so they must be idempotent."""
        ...
