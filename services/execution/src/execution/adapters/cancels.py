"""Cancels that are asked for at the same moment leave as one request: an emergency stop does not take the longer the more orders
work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence

from common.messages.venue import Report

Cancel = Callable[[Sequence[str]], Coroutine[None, None, Mapping[str, Report]]]
Batch = asyncio.Task[dict[str, Report]]


class Cancels:
    """`cancel` takes up to `most` client order ids and gives the report of each. It is called one turn of the event loop after the
    first of them was asked for.
    """

    def __init__(self, cancel: Cancel, most: int) -> None:
        self._cancel = cancel
        self._most = most
        self._names: dict[str, None] = {}
        self._next: Batch | None = None

    async def ask(self, client_order_id: str) -> Report:
        if self._next is None:
            self._next = asyncio.create_task(self._batch())
        self._names[client_order_id] = None
        reports = await asyncio.shield(self._next)  # who gives up takes nobody along
        return reports[client_order_id]

    async def _batch(self) -> dict[str, Report]:
        names, self._names, self._next = list(self._names), {}, None
        parts = [names[start : start + self._most] for start in range(0, len(names), self._most)]
        found = await asyncio.gather(*map(self._cancel, parts))
        return {name: report for part in found for name, report in part.items()}
