"""The tape on NATS JetStream.

A connection is never reused after a break (docs/adr/0002): what a client buffers while it is away would be sent late and
with holes. Any trouble completes `broken`, and the owner starts over from its snapshot.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError, BadRequestError, NotFoundError

from common.errors import ConfigError, TapeError
from common.messages.base import Envelope
from common.runtime import subjects
from common.runtime.codec import encode_envelope
from common.runtime.login import Login, close, explain, forbidden, inbox_prefix
from common.runtime.nats_finder import first_to_answer
from common.runtime.nats_outbox import FENCE_HEADERS, Letter, Outbox, PubAck, read_ack
from common.runtime.tape import Handler, Holder, Record
from common.runtime.tracing import publishing

ACK_TIMEOUT_S: Final = 10.0
OVERDUE_S: Final = 5.0  # a stream that lost its leader says nothing; who waits longer starts over
ANSWER_WITHIN_S: Final = 3
ASK_AGAIN_AFTER_S: Final = 1.0  # where asking again is what the caller does anyway, so that a new leader is found soon
_TROUBLE: Final = (NatsError, APIError, OSError, TimeoutError, asyncio.TimeoutError)


class StreamSize(NamedTuple):
    messages: int
    size_bytes: int


class _Unacked(NamedTuple):
    stored: asyncio.Future[int]
    since: float


class _Fence(NamedTuple):
    headers: dict[str, str]
    held: Callable[[], bool]

    @staticmethod
    def at(subject: str, seq: int, held: Callable[[], bool]) -> _Fence:
        return _Fence(dict(zip(FENCE_HEADERS, (str(seq), subject), strict=True)), held)


class NatsTape:
    """One connection. Make it with `connect`."""

    def __init__(self, client: Client, login: Login) -> None:
        self.broken: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self._client = client
        self._stream = client.jetstream(prefix="$JS.API", timeout=ANSWER_WITHIN_S)
        self._inbox = f"{inbox_prefix(login.user)}.ack"
        self._user = login.user
        self._tokens = itertools.count()
        self._acks: dict[str, _Unacked] = {}
        self._fence: _Fence | None = None
        self._claiming = asyncio.Lock()
        self._outbox = Outbox(client, OVERDUE_S, self._break)
        self._replicated = False
        self._closing = False

    @classmethod
    async def connect(cls, login: Login, timeout_s: int = 2) -> NatsTape:
        """Raises TapeError when the server is out of reach or refuses the login, or the stream is not there; ConfigError when
        the user may not do what every user of the tape does.
        """
        client = Client()
        tape = cls(client, login)
        try:
            await client.connect(
                await first_to_answer(login.url.split(","), timeout_s),
                **login.options(),
                allow_reconnect=False,
                max_reconnect_attempts=1,  # else it tries a dead server for two minutes, whatever allow_reconnect says
                reconnect_time_wait=0,
                connect_timeout=timeout_s,
                error_cb=tape._on_error,
                closed_cb=tape._on_closed,
                pending_size=64 * 1024 * 1024,
            )
            await client.subscribe(f"{tape._inbox}.*", cb=tape._on_ack)
            async with asyncio.timeout(ASK_AGAIN_AFTER_S):
                info = await tape._stream.stream_info(subjects.STREAM)
            tape._replicated = (info.config.num_replicas or 1) > 1
        except _TROUBLE as error:
            await tape.close()
            raise tape._why(f"{login.url} as {login.user}: {explain(error)}") from error
        return tape

    async def append(self, subject: str, envelope: Envelope) -> asyncio.Future[int]:
        if self._claiming.locked():
            async with self._claiming:
                pass
        return await self._put(subject, envelope, self._fence)

    async def flush(self) -> None:
        waiting = [unacked.stored for unacked in self._acks.values()]
        late = (await asyncio.wait(waiting, timeout=ACK_TIMEOUT_S))[1] if waiting else ()
        if late:
            raise self._break(TapeError(f"{len(late)} appends were not acknowledged within {ACK_TIMEOUT_S:g} s"))
        if self.broken.done():
            raise self.broken.result()

    async def claim(self, subject: str, envelope: Envelope, after_seq: int, held: Callable[[], bool]) -> None:
        async with self._claiming:  # what is appended meanwhile must carry the fence that is only just being made
            stored = await self._put(subject, envelope, _Fence.at(subject, after_seq, held))
            await self.flush()
            # A server has been seen to take a claim after 0 just behind another one, on a stream emptied shortly before.
            first = await self._ask(
                self._stream.get_msg(subjects.STREAM, seq=after_seq + 1, subject=subject, next=True)
            )
            if first.seq != stored.result():
                raise self._break(TapeError(f"append refused: {subject} has a newer holder"))
            self._fence = _Fence.at(subject, stored.result(), held)

    async def lease_of(self, service: str) -> Holder | None:
        try:
            # Not wait_for: its task, canceled just as it fails, would print a traceback.
            async with asyncio.timeout(ASK_AGAIN_AFTER_S):
                entry = await self._stream.get_last_msg(f"KV_{subjects.LEASES}", subjects.lease(service))
        except NotFoundError:
            return None
        except _TROUBLE as error:
            raise self._why(f"lease of {service}: {explain(error)}") from error
        return Holder((entry.data or b"").decode(), entry.seq or 0)

    async def hold_lease(self, service: str, name: str, revision: int) -> int | None:
        headers = {FENCE_HEADERS[0]: str(revision)}
        try:
            ack = await self._stream.publish(
                subjects.lease(service), name.encode(), timeout=ASK_AGAIN_AFTER_S, headers=headers
            )
        except BadRequestError:  # wrong last sequence
            return None
        except _TROUBLE as error:
            raise self._why(f"lease of {service}: {explain(error)}") from error
        return int(ack.seq)

    async def read(self, patterns: Sequence[str], from_seq: int, handler: Handler) -> int:
        last_seq = from_seq - 1

        async def deliver(message: Msg) -> None:
            nonlocal last_seq
            tokens = message.reply.split(
                "."
            )  # $JS.ACK.<stream>.<consumer>.<tries>.<seq>.<consumer seq>.<time>.<pending>
            seq = int(tokens[5])
            if seq <= last_seq or self.broken.done():
                return  # delivered again by a reset consumer; or no longer to be trusted
            last_seq = seq
            try:
                await handler(Record(seq, message.data, int(tokens[8]), (message.headers or {}).get("traceparent", "")))
            except Exception as error:  # noqa: BLE001 (a bug of the handler belongs to the owner of the tape)
                self._break(error)

        config = ConsumerConfig(
            filter_subjects=list(patterns), deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=from_seq
        )
        if from_seq <= 1:
            config = ConsumerConfig(filter_subjects=list(patterns), deliver_policy=DeliverPolicy.ALL)
        subscription = await self._ask(
            self._stream.subscribe(
                patterns[0],
                stream=subjects.STREAM,
                cb=deliver,
                config=config,
                ordered_consumer=True,
                idle_heartbeat=1.0,
                pending_msgs_limit=0,
                pending_bytes_limit=0,
            )
        )
        info = await self._ask(subscription.consumer_info())
        return int(info.num_pending or 0) + int(info.delivered.consumer_seq if info.delivered else 0)

    async def last(self, patterns: Sequence[str]) -> Record | None:
        found = [record for record in await asyncio.gather(*map(self._last_of, patterns)) if record]
        return max(found, default=None)

    async def sizes(self) -> dict[str, StreamSize]:
        """Of the tape and of the bucket of snapshots, by name. Raises TapeError."""
        names = (subjects.STREAM, f"KV_{subjects.SNAPSHOTS}")
        infos = await asyncio.gather(*(self._ask(self._stream.stream_info(name)) for name in names))
        return {
            name: StreamSize(info.state.messages, info.state.bytes) for name, info in zip(names, infos, strict=True)
        }

    async def get_snapshot(self, service: str) -> bytes | None:
        try:
            entry = await self._stream.get_last_msg(f"KV_{subjects.SNAPSHOTS}", f"$KV.{subjects.SNAPSHOTS}.{service}")
        except NotFoundError:
            return None
        except _TROUBLE as error:
            raise self._why(f"snapshot of {service}: {explain(error)}") from error
        return entry.data

    async def put_snapshot(self, service: str, value: bytes) -> None:
        await self._ask(self._stream.publish(f"$KV.{subjects.SNAPSHOTS}.{service}", value))

    async def dead_letter(self, service: str, record: Record, reason: str) -> None:
        headers = {"Ballast-Seq": str(record.seq), "Ballast-Reason": reason.replace("\n", " ")[:500]}
        await self._ask(self._stream.publish(subjects.dead_letter(service), record.payload, headers=headers))

    async def beat(self, service: str, payload: bytes) -> None:
        oldest = next(iter(self._acks.values()), None)
        if oldest is not None and time.monotonic() - oldest.since > OVERDUE_S:
            raise self._break(TapeError(f"an append was not acknowledged within {OVERDUE_S:g} s"))
        await self._ask(self._client.publish(subjects.heartbeat(service), payload))
        await self._ask(self._client.flush(timeout=ANSWER_WITHIN_S))

    async def listen(self, service: str, heard: Callable[[bytes], None]) -> None:
        async def receive(message: Msg) -> None:
            # A consumer of the tape may be aimed at any subject, but what it delivers keeps its own: no forged heartbeats.
            if message.subject.startswith(subjects.heartbeat("")):
                heard(message.data)

        await self._ask(self._client.subscribe(subjects.heartbeat(service), cb=receive))

    async def close(self) -> None:
        self._closing = True
        self._outbox.close()
        if not self._client.is_closed:
            await close(self._client)

    async def _put(self, subject: str, envelope: Envelope, fence: _Fence | None) -> asyncio.Future[int]:
        if self.broken.done():
            raise self.broken.result()
        token = str(next(self._tokens))
        stored: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        headers = {"Nats-Msg-Id": envelope.id, "traceparent": publishing(subject, envelope, stored)}
        if fence is not None:
            if not fence.held():
                raise TapeError("append: the lease is no longer held")
            headers |= fence.headers
        self._acks[token] = _Unacked(stored, time.monotonic())
        payload = encode_envelope(envelope)
        if fence is not None and self._replicated:
            self._outbox.put(Letter(subject, payload, headers, lambda ack: self._settle(token, ack)))
            return stored
        try:
            await self._client.publish(subject, payload, reply=f"{self._inbox}.{token}", headers=headers)
        except _TROUBLE as error:
            raise self._why(f"append {subject}: {explain(error)}") from error
        return stored

    async def _last_of(self, pattern: str) -> Record | None:
        try:
            entry = await self._stream.get_last_msg(subjects.STREAM, pattern)
        except NotFoundError:
            return None
        except _TROUBLE as error:
            raise self._why(f"last {pattern}: {explain(error)}") from error
        return Record(entry.seq or 0, entry.data or b"", 0)

    async def _ask(self, request: Awaitable[Any]) -> Any:
        try:
            return await request
        except _TROUBLE as error:
            raise self._why(explain(error)) from error

    async def _on_ack(self, message: Msg) -> None:
        # A consumer of the tape may be aimed even at this inbox, but what it delivers keeps its own subject: no forged acks.
        inbox, _, token = message.subject.rpartition(".")
        if inbox == self._inbox:
            self._settle(token, read_ack(message.data))

    def _settle(self, token: str, ack: PubAck) -> None:
        unacked = self._acks.pop(token, None)
        if unacked is None or unacked.stored.done():
            return
        if ack.error:
            unacked.stored.cancel()
            self._break(TapeError(f"append refused: {ack.error.get('description')}"))
        else:
            unacked.stored.set_result(ack.seq)

    async def _on_error(self, error: Exception) -> None:
        self._break(forbidden(error, self._user) or TapeError(explain(error)))

    async def _on_closed(self) -> None:
        if not self._closing:
            self._break(TapeError("connection to NATS lost"))

    def _why(self, said: str) -> Exception:
        """What is forbidden looks like a timeout to whoever asked: then that is the reason."""
        reason = self.broken.result() if self.broken.done() else None
        return reason if isinstance(reason, ConfigError) else TapeError(said)

    def _break(self, error: Exception) -> Exception:
        if not self.broken.done():
            self.broken.set_result(error)
        for unacked in self._acks.values():
            unacked.stored.cancel()
        return error
