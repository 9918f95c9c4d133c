"""Every service times every subject: what it may say arrives, what it may not say does not (RELIABILITY, target 13)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, StreamConfig

from common import messages as m
from common.contracts import DOMAINS, LEASED, OPERATORS, ROUTES, own_pattern, pattern, publishes
from common.runtime import nats_config, subjects
from common.runtime.embedded import Endpoints
from common.runtime.nats_config import ADMIN, SERVICES
from common.runtime.nats_tape import NatsTape
from common.runtime.tape import Record
from common.testing.conformance import collect, entry

pytestmark = [pytest.mark.integration, pytest.mark.req("PLT-01", "PLT-04")]

SNAPSHOT = f"$KV.{subjects.SNAPSHOTS}"
VIOLATION = re.compile(r'permissions violation for (?:publish|subscription) to "(\S+)"')
EVERY_MESSAGE = {
    own_pattern(message, publisher).replace(">", "x.y")
    for message, route in ROUTES.items()
    for publisher in route.publishers
}


@dataclass
class User:
    """A connection, and the subjects that were refused to it, in lower case: nats-py shows them so."""

    client: Client
    denied: set[str] = field(default_factory=set)

    async def try_all(self, subjects_: set[str], payload: bytes = b"{}") -> set[str]:
        """Publishes on each; returns those that were refused."""
        self.denied.clear()
        for subject in sorted(subjects_):
            await self.client.publish(subject, payload)
        await self.settle()
        return {subject for subject in subjects_ if subject.lower() in self.denied}

    async def settle(self) -> None:
        """Returns when the server has judged everything sent. nats-py's first PING overtakes what it has buffered."""
        await self.client.flush()
        await self.client.flush()


@asynccontextmanager
async def connected(servers: Endpoints, name: str) -> AsyncIterator[User]:
    async def note(error: Exception) -> None:
        if found := VIOLATION.search(str(error)):
            user.denied.add(found[1])

    client = await nats.connect(
        servers.nats_url,
        **servers.login(name).options(),
        allow_reconnect=False,
        error_cb=note,
    )
    user = User(client)
    try:
        yield user
    finally:
        await client.close()


@pytest.fixture
async def tape_before(servers: Endpoints) -> dict[str, int]:
    async with connected(servers, ADMIN) as admin:
        await admin.client.jetstream().purge_stream(subjects.STREAM)
    return {}


async def stored(servers: Endpoints) -> set[str]:
    async with connected(servers, "operator") as operator:
        info = await operator.client.jetstream().stream_info(subjects.STREAM, subjects_filter=">")
        return set(info.state.subjects or {})


def messages_of(user: str) -> set[str]:
    return {own_pattern(message, user).replace(">", "x.y") for message in publishes(user)}


def kept_by(user: str) -> set[str]:
    """What has one writer each, beside the tape."""
    leases = {subjects.lease(user)} if user in LEASED else set()
    return {subjects.heartbeat(user), subjects.dead_letter(user), f"{SNAPSHOT}.{user}"} | leases


def reads(stream: str) -> set[str]:
    """What following a stream takes."""
    verbs = ("STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET", "CONSUMER.CREATE")
    of_one = {f"{API}.CONSUMER.{verb}.{stream}.any" for verb in ("CREATE", "INFO", "DELETE")}
    return {f"{API}.{verb}.{stream}" for verb in verbs} | of_one | {f"$JS.FC.{stream}.any"}


def may_say(user: str) -> set[str]:
    """By the rules as docs/permissions.md has them, not by the code that makes the configuration."""
    followed = reads(subjects.STREAM) | (reads(subjects.DEAD_LETTERS) if user in OPERATORS else set())
    snapshots = {f"{API}.STREAM.{verb}.{KEPT}" for verb in ("INFO", "MSG.GET")}
    leases = {f"{API}.STREAM.MSG.GET.{HELD}"} if user in LEASED else set()
    raw = {"raw.eur_usd"} if user == "market_data" else set()
    return messages_of(user) | kept_by(user) | followed | snapshots | leases | raw | {f"{API}.INFO"}


API = "$JS.API"
KEPT, HELD = f"KV_{subjects.SNAPSHOTS}", f"KV_{subjects.LEASES}"
ALL_STREAMS = (*(config.name for config in nats_config.STREAMS), "NEW")
CHANGES = (
    *(f"STREAM.{verb}" for verb in ("CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE", "RESTORE", "SNAPSHOT")),
    *(f"STREAM.{verb}" for verb in ("LEADER.STEPDOWN", "PEER.REMOVE")),
    *(f"CONSUMER.{verb}" for verb in ("NAMES", "LIST", "LEADER.STEPDOWN.x", "PAUSE.x", "MSG.NEXT", "DURABLE.CREATE")),
)
EVERYTHING = (
    EVERY_MESSAGE
    | {subject for user in SERVICES for subject in kept_by(user)}
    | {f"{API}.{verb}.{stream}" for verb in CHANGES for stream in ALL_STREAMS}
    | {subject for stream in ALL_STREAMS for subject in reads(stream)}
    | {f"{nats_config.inbox_prefix(user)}.ack.0" for user in nats_config.USERS}
    | {subjects.lease("regime"), f"{SNAPSHOT}.admin", subjects.heartbeat("x"), "raw.eur_usd", "anything", "order.x"}
    | {f"{API}.INFO", f"{API}.ACCOUNT.PURGE.x", f"{API}.META.LEADER.STEPDOWN", "$SYS.REQ.SERVER.PING", "$SYS.x"}
)


@pytest.mark.parametrize("user", SERVICES)
async def test_a_user_says_what_is_its_own_and_is_refused_everything_else(
    servers: Endpoints, user: str, tape_before: object
) -> None:
    own = may_say(user)
    async with connected(servers, user) as connection:
        refused = await connection.try_all(EVERYTHING)
    print(f"\n{user}: {len(EVERYTHING) - len(refused)} of {len(EVERYTHING)} subjects allowed")
    assert refused == EVERYTHING - own
    assert own <= EVERYTHING


@pytest.mark.parametrize(
    ("message", "publishers"),
    [
        (m.MarketSlice, {"market_data"}),
        (m.PortfolioStep, {"portfolio"}),
        (m.OrderApproved, {"risk_guardian"}),
        (m.AmendApproved, {"risk_guardian"}),
        (m.TradingStateChanged, {"risk_guardian"}),
        (m.OrderSubmitted, {"execution"}),
        (m.OrderFilled, {"execution"}),
        (m.IntentRecorded, {"execution"}),
        (m.ResumeTrading, {"gateway", "operator"}),
    ],
)
async def test_the_words_that_move_money_have_one_speaker(
    servers: Endpoints, message: type[m.Message], publishers: set[str], tape_before: object
) -> None:
    subject = pattern(message).replace(">", "x.y")
    for user in nats_config.USERS:
        async with connected(servers, user) as connection:
            assert (await connection.try_all({subject}) == set()) is (user in publishers)


@pytest.mark.parametrize("user", nats_config.USERS)
async def test_a_user_hears_neither_the_replies_of_another_nor_anything_past_the_tape(
    servers: Endpoints, user: str
) -> None:
    foreign = {f"{nats_config.inbox_prefix(name)}.>" for name in nats_config.USERS if name != user}
    foreign |= {f"{domain}.>" for domain in DOMAINS} | {">", "*", "_INBOX.>", f"{SNAPSHOT}.>", "$KV.>"}
    foreign |= {"dead_letter.>", "$SYS.>", "$JS.>", "$JS.EVENT.>"}
    foreign |= set() if user in nats_config.RAW_SUBSCRIBERS else {"raw.>"}
    foreign |= {subjects.heartbeat(">")} if user == ADMIN else set()
    async with connected(servers, user) as connection:
        for subject in sorted(foreign | {f"{nats_config.inbox_prefix(user)}.>"}):
            await connection.client.subscribe(subject)
        if user != ADMIN:
            await connection.client.subscribe(subjects.heartbeat(">"))
        await connection.settle()
        assert connection.denied == {subject.lower() for subject in foreign}


@pytest.mark.parametrize("user", SERVICES)
async def test_all_that_a_tape_can_do_is_allowed_to_its_user(
    servers: Endpoints, user: str, tape_before: object
) -> None:
    tape = await NatsTape.connect(servers.login(user))
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    await tape.listen("*", heard.put_nowait)
    for message in publishes(user):
        await tape.append(own_pattern(message, user).replace(">", "x.y"), entry(1, f"{user}:{message.TYPE}"))
    await tape.flush()
    await tape.put_snapshot(user, b"state")
    assert await tape.get_snapshot(user) == b"state"
    await tape.dead_letter(user, Record(1, b"{", 0), "a test")
    await tape.beat(user, b"alive")
    assert await asyncio.wait_for(heard.get(), 5) == b"alive"
    patterns = [f"{domain}.>" for domain in DOMAINS]
    said = len(publishes(user))
    assert (await tape.last(patterns) is None) is (said == 0)
    assert said == 0 or len(await collect(tape, patterns, 1, said)) == said
    if user in LEASED:
        holder = await tape.lease_of(user)
        revision = await tape.hold_lease(user, "a-test", holder.revision if holder else 0)
        assert await tape.lease_of(user) == ("a-test", revision)
        kind = own_pattern(m.LeaseTaken, user).replace(">", "x.y")
        newest = await tape.last([kind])
        assert newest is not None
        await tape.claim(kind, entry(2, f"{user}:claim"), newest.seq, lambda: True)
    assert not tape.broken.done()
    await tape.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_follows_the_tape_and_finds_its_snapshot(
    servers: Endpoints, service: str, tape_before: object
) -> None:
    async with connected(servers, "market_data") as feed:
        for number in range(3):
            await feed.client.jetstream().publish("md.slice.v1.x", b"%d" % number)
    async with connected(servers, service) as user:
        stream = user.client.jetstream()
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        async def hear(message: Msg) -> None:
            heard.put_nowait(message.data)

        await stream.subscribe(
            "md.slice.v1.>",
            stream=subjects.STREAM,
            cb=hear,
            ordered_consumer=True,
            idle_heartbeat=1.0,
            config=ConsumerConfig(filter_subjects=["md.slice.v1.>", "regime.step.v1.>"]),
        )
        assert [await heard.get() for _ in range(3)] == [b"0", b"1", b"2"]
        assert (await stream.get_last_msg(subjects.STREAM, "md.slice.v1.>")).data == b"2"
        assert (await stream.get_last_msg(subjects.STREAM, "md.slice.v1.x", direct=True)).data == b"2"
        bucket = await stream.key_value(subjects.SNAPSHOTS)
        await bucket.put(service, b"state")
        assert (await bucket.get(service)).value == b"state"
        assert user.denied == set()


async def test_admin_owns_the_streams_but_says_nothing_on_the_tape(servers: Endpoints, tape_before: object) -> None:
    async with connected(servers, ADMIN) as admin:
        assert await admin.try_all(EVERY_MESSAGE) == EVERY_MESSAGE
        stream = admin.client.jetstream()
        await stream.add_stream(StreamConfig(name="SCRATCH", subjects=["scratch"]))
        assert await stream.delete_stream("SCRATCH")
    assert await stored(servers) == set()


async def test_provisioning_again_keeps_what_the_streams_hold_and_restores_what_was_altered(
    servers: Endpoints, tape_before: object
) -> None:
    async with connected(servers, "regime") as regime, connected(servers, ADMIN) as admin:
        await regime.client.jetstream().publish("regime.step.v1.x", b"kept")
        stream = admin.client.jetstream()
        before = await stream.stream_info(subjects.STREAM)
        await stream.update_stream(before.config.evolve(max_msgs=5))
        await nats_config.provision(admin.client)
        after = await stream.stream_info(subjects.STREAM)
        assert (after.config.max_msgs, after.state.messages) == (before.config.max_msgs, 1)
        assert after.config.duplicate_window == 120
        assert after.config.allow_direct
