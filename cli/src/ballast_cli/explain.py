"""`ballast explain`: asks the gateway of the running system."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import httpx

from common.errors import BallastError, TapeError
from common.model.time import iso
from common.runtime.environment import read_secret
from common.runtime.supervisor import Status

_TIMEOUT_S: Final = 10.0


def explain(home: Path, client_order_id: str) -> dict[str, Any]:
    """The order and the chain that led to it. Raises BallastError when there is no such order."""
    running = Status.load(home)
    if running is None:
        raise TapeError(f"{home}: nothing runs here; start it with `ballast up`")
    port = running.processes["gateway"].http_port
    password = read_secret(home / "secrets" / "gateway_password")
    try:
        answer = httpx.get(
            f"http://127.0.0.1:{port}/api/v1/explain/{client_order_id}", auth=("admin", password), timeout=_TIMEOUT_S
        )
        found: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise TapeError(f"the gateway at port {port} does not answer: {error}") from None
    if not answer.is_success:
        raise BallastError(f"{client_order_id}: {found.get('detail') or found.get('title') or answer.status_code}")
    return found


def in_words(found: dict[str, Any]) -> list[str]:
    """The chain for people: a line per link, in the order in which things were said."""
    order, links = found["order"], found["chain"]
    return [
        *(f"{iso(link['ts_event'])[:16]}  {link['stage']:<8}  {link['what']}  [{link['rule']}]" for link in links),
        f"{order['client_order_id']}: {order['state']}, {order['cum_qty']} of {order['qty']} filled",
    ]
