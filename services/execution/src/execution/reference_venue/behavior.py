"""How the venue misbehaves: so many times, or with a probability that derives from a seed."""

from __future__ import annotations

from enum import StrEnum
from hashlib import blake2b
from typing import Annotated

import msgspec
from msgspec import Meta

from common.messages.venue import Request


class Fault(StrEnum):
    TIMEOUT_BEFORE = "TIMEOUT_BEFORE"  # no answer, nothing done
    TIMEOUT_AFTER = "TIMEOUT_AFTER"  # no answer, but done
    ARRIVES_LATE = "ARRIVES_LATE"  # no answer, nothing done; but done later, when nobody expects it any more
    RESET_AFTER = "RESET_AFTER"  # done, and the connection breaks in the middle of the answer
    ERROR_BEFORE = "ERROR_BEFORE"  # 500, nothing done
    ERROR_AFTER = "ERROR_AFTER"  # 500, but done
    GARBAGE_AFTER = "GARBAGE_AFTER"  # done, and 200 with a body that means nothing
    RATE_LIMIT = "RATE_LIMIT"  # 429 with Retry-After
    REJECT = "REJECT"  # 422
    SLOW = "SLOW"  # the answer comes late, but in time
    IN_PARTS = "IN_PARTS"  # what fills at once fills half, the rest at the next price
    REPORT_TWICE = "REPORT_TWICE"
    REPORTS_REVERSED = (
        "REPORTS_REVERSED"  # those of one request: the fill before the acceptance, the cancel before the fill
    )
    REPORT_LOST = "REPORT_LOST"  # a hole in the sequence
    DISCONNECT = "DISCONNECT"  # the report stream ends after the report


class Rule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The next `count` times for certain, else with probability `rate`. `on` None: at any request."""

    fault: Fault
    on: Request | None = None
    count: Annotated[int, Meta(ge=0)] = 0
    rate: Annotated[float, Meta(ge=0, le=1)] = 0.0


class Behavior(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`PUT /behavior`. No rules is good behavior."""

    rules: list[Rule] = msgspec.field(default_factory=list)
    seed: int = 1
    hold_s: float = 5.0  # how long a request that times out is held
    slow_s: float = 0.2
    retry_after_s: float = 0.5
    drawn: int = 0

    def strikes(self, fault: Fault, request: Request | None = None) -> bool:
        """Whether it happens now. Uses up a count."""
        return any(rule.fault is fault and rule.on in {None, request} and self._hit(rule) for rule in self.rules)

    def first(self, faults: tuple[Fault, ...], request: Request) -> Fault | None:
        """The first of `faults` that strikes."""
        return next((fault for fault in faults if self.strikes(fault, request)), None)

    def _hit(self, rule: Rule) -> bool:
        if rule.count:
            rule.count -= 1
            return True
        if not rule.rate:
            return False
        self.drawn += 1
        draw = blake2b(f"{self.seed}:{self.drawn}:{rule.fault}".encode(), digest_size=8).digest()
        return int.from_bytes(draw, "big") < rule.rate * 2**64
