"""What makes a venue's report the same report: its identity on the tape, so that it is there once however often it is heard."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from common.messages.venue import Accepted, Canceled, Expired, Rejected, Report, Request, Traded


def report_key(report: Report) -> str:
    """Of a report the venue makes of its own accord. What can happen only once to an order is keyed by what it is, whether
    pushed or an answer; anything else by its content.
    """
    match report:
        case Traded():
            return f"trade:{report.trade_id}"
        case Accepted() | Rejected() | Canceled() | Expired():
            return f"{type(report).__name__}:{report.client_order_id}"
    digest = blake2b(msgspec.json.encode(report), digest_size=8).hexdigest()
    return f"{type(report).__name__}:{report.client_order_id}:{digest}"


def answer_key(report: Report, request: Request, attempt: int) -> str:
    """Of an answer: once for each attempt, unless it is a thing that happens once."""
    if isinstance(report, Traded | Accepted | Rejected | Canceled | Expired):
        return report_key(report)
    return f"{request}:{report.client_order_id}:{attempt}"
