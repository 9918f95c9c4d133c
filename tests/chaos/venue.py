"""The venue of a drill: the reference venue in a process of its own, which is never killed. It is the world outside."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import httpx
import msgspec

from common.messages.venue import Request
from execution.adapters.wire import TOKEN_HEADER, WireAccount
from execution.reference_venue.audit import Entry, Summary
from execution.reference_venue.behavior import Behavior, Fault, Rule

SENDING: Final = (
    Fault.TIMEOUT_BEFORE,
    Fault.TIMEOUT_AFTER,
    Fault.ARRIVES_LATE,
    Fault.RESET_AFTER,
    Fault.ERROR_BEFORE,
    Fault.ERROR_AFTER,
    Fault.GARBAGE_AFTER,
    Fault.RATE_LIMIT,
)
_STALE_ORDER: Final = msgspec.json.encode(
    {
        "client_order_id": "stale",
        "instrument_id": "EUR-USD.ECB",
        "side": "BUY",
        "qty": "1",
        "order_type": "MARKET",
        "time_in_force": "GTC",
    }
)
_MORE_THAN_ANYBODY: Final = 30.0


class _Audit(msgspec.Struct):
    summary: Summary
    requests: list[Entry]


class VenueDesk:
    """What a drill may do at the venue, past execution."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.AsyncClient(base_url=url, trust_env=False, timeout=_MORE_THAN_ANYBODY)

    async def misbehave(self, rate: float) -> None:
        """`rate` of the requests go wrong in one of the eight ways; as many reports come twice, some are lost or out of order,
        and now and then the report stream ends.
        """
        share = rate / len(SENDING)
        rules = [Rule(fault=fault, on=kind, rate=share) for fault in SENDING for kind in (Request.SEND, Request.CANCEL)]
        rules.append(Rule(fault=Fault.REPORT_TWICE, rate=rate))
        rules += [Rule(fault=fault, rate=rate / 10) for fault in (Fault.REPORT_LOST, Fault.REPORTS_REVERSED)]
        rules += [Rule(fault=Fault.IN_PARTS, rate=rate), Rule(fault=Fault.DISCONNECT, rate=rate / 100)]
        await self._put("/behavior", Behavior(rules=rules, hold_s=0.6, retry_after_s=0.05))

    async def behave(self) -> None:
        await self._put("/behavior", Behavior())

    async def move(self, prices: dict[str, float]) -> None:
        await self._put("/prices", {"prices": {name: f"{px:.4f}" for name, px in prices.items()}})

    async def audit(self) -> tuple[Summary, list[Entry]]:
        found = msgspec.json.decode((await self._client.get("/audit")).content, type=_Audit)
        return found.summary, found.requests

    async def account(self) -> WireAccount:
        """Asked with the highest token seen, which changes nothing."""
        summary, _ = await self.audit()
        answer = await self._client.get("/account", headers={TOKEN_HEADER: str(summary.highest_token)})
        return msgspec.json.decode(answer.content, type=WireAccount)

    async def cancel_all(self) -> None:
        """As the venue's own staff would."""
        summary, _ = await self.audit()
        headers = {TOKEN_HEADER: str(summary.highest_token)}
        await self._client.delete("/orders", headers=headers)

    async def send_with(self, token: int) -> int:
        """The status of an order sent with that fencing token."""
        answer = await self._client.post("/orders", headers={TOKEN_HEADER: str(token)}, content=_STALE_ORDER)
        return answer.status_code

    async def close(self) -> None:
        await self._client.aclose()

    async def _put(self, path: str, body: Any) -> None:
        answer = await self._client.put(path, content=msgspec.json.encode(body))
        assert answer.status_code == httpx.codes.NO_CONTENT, answer.text


def placed(entries: list[Entry]) -> Counter[str]:
    """How often an order with that id was placed at the venue: once is right."""
    return Counter(entry.client_order_id for entry in entries if entry.request == Request.SEND and entry.done)
