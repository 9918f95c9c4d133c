"""What the reference venue was asked, so that a drill can prove "exactly once"."""

from __future__ import annotations

from collections import Counter

import msgspec


class Entry(msgspec.Struct, kw_only=True):
    """One request, or one order's part in a request for several. `at_ns` is CLOCK_MONOTONIC, the same for all processes of the machine; `done` whether it took effect."""

    at_ns: int
    request: str
    client_order_id: str
    token: int
    done: bool = False
    status: int = 0  # of the answer; 0: none was given
    fault: str = ""
    duplicate: bool = False


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """`duplicates`: sends of an id that the venue had already. `most_sends`: of any one id, whatever became of them."""

    requests: int
    sends: int
    accepted: int
    duplicates: int
    most_sends: int
    cancels: int
    stale_tokens: int
    highest_token: int


class Audit:
    """Every request on an order, in order of arrival."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.highest_token = 0
        self.stale_tokens = 0

    def admits(self, token: int) -> bool:
        """Whether nobody with a higher token has been seen."""
        if token < self.highest_token:
            self.stale_tokens += 1
            return False
        self.highest_token = token
        return True

    def summary(self) -> Summary:
        sends = [entry for entry in self.entries if entry.request == "SEND"]
        by_id = Counter(entry.client_order_id for entry in sends)
        return Summary(
            requests=len(self.entries),
            sends=len(sends),
            accepted=sum(entry.done for entry in sends),
            duplicates=sum(entry.duplicate for entry in sends),
            most_sends=max(by_id.values(), default=0),
            cancels=sum(entry.request == "CANCEL" for entry in self.entries),
            stale_tokens=self.stale_tokens,
            highest_token=self.highest_token,
        )
