"""Fenced appends on a replicated stream.

A server with replicas refuses a second message under the same fence while the first is on its way between them
("wrong last sequence", 10164), so pipelining is out. Appends therefore leave in units, atomic batches under one fence, one
unit at a time; what is appended meanwhile is the next unit (docs/adr/0010).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from secrets import token_hex
from typing import Any, Final, NamedTuple

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError

from common.errors import TapeError

FENCE_HEADERS: Final = ("Nats-Expected-Last-Subject-Sequence", "Nats-Expected-Last-Subject-Sequence-Subject")
UNIT_LIMIT: Final = 500  # the server takes 1,000
_CONTAINS_DUPLICATE: Final = 10201
_TROUBLE: Final = (NatsError, OSError, TimeoutError)

Headers = Mapping[str, str]


class PubAck(msgspec.Struct):
    """What a stream answers to a publish."""

    seq: int = 0
    error: dict[str, Any] | None = None


class Letter(NamedTuple):
    subject: str
    payload: bytes
    headers: Headers
    stored: Callable[[PubAck], None]


_ack_decoder: Final = msgspec.json.Decoder(PubAck)


def read_ack(payload: bytes) -> PubAck:
    """An answer that is none is an error too: that of a server without such a stream."""
    try:
        return _ack_decoder.decode(payload)
    except msgspec.MsgspecError:
        return PubAck(error={"description": "no stream takes this subject, or it is forbidden"})


class Outbox:
    """`put` never waits. `failed` hears what ends it."""

    def __init__(self, client: Client, timeout_s: float, failed: Callable[[Exception], object]) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._failed = failed
        self._name = token_hex(8)
        self._numbers = itertools.count()
        self._waiting: list[Letter] = []
        self._sender: asyncio.Task[None] | None = None

    def put(self, letter: Letter) -> None:
        self._waiting.append(letter)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send())

    def close(self) -> None:
        if self._sender is not None:
            self._sender.cancel()

    async def _send(self) -> None:
        try:
            while self._waiting:
                unit, self._waiting = self._waiting[:UNIT_LIMIT], self._waiting[UNIT_LIMIT:]
                if len(unit) == 1 or not await self._as_one(unit):
                    await self._one_by_one(unit)
        except _TROUBLE as error:
            self._failed(TapeError(f"append: {str(error) or type(error).__name__}"))

    async def _as_one(self, unit: Sequence[Letter]) -> bool:
        """False if nothing was stored because some of it is on the tape already."""
        batch = f"{self._name}-{next(self._numbers)}"
        last = len(unit) - 1
        for index, letter in enumerate(unit[:last]):
            await self._client.publish(letter.subject, letter.payload, headers=_in_batch(letter, batch, index))
        final = {**_in_batch(unit[last], batch, last), "Nats-Batch-Commit": "1"}
        ack = await self._ask(unit[last], final)
        if ack.error and ack.error.get("err_code") == _CONTAINS_DUPLICATE:
            return False
        for index, letter in enumerate(unit):
            letter.stored(ack if ack.error else PubAck(seq=ack.seq - last + index))
        return True

    async def _one_by_one(self, unit: Sequence[Letter]) -> None:
        for letter in unit:
            letter.stored(await self._ask(letter, letter.headers))

    async def _ask(self, letter: Letter, headers: Headers) -> PubAck:
        answer = await self._client.request(
            letter.subject, letter.payload, timeout=self._timeout_s, headers=dict(headers)
        )
        return read_ack(answer.data)


def _in_batch(letter: Letter, batch: str, index: int) -> dict[str, str]:
    """The fence counts once, on the first: the batch is one."""
    kept = {name: value for name, value in letter.headers.items() if index == 0 or name not in FENCE_HEADERS}
    return {**kept, "Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(index + 1)}
