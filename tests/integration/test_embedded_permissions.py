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

from common.contracts import LEASED, ROUTES, own_pattern, publishes
from common.runtime import nats_config, subjects
from common.runtime.embedded import Endpoints
from common.runtime.nats_config import ADMIN, SERVICES

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
        user=name,
        password=servers.nats_password(name),
        inbox_prefix=nats_config.inbox_prefix(name),
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


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_says_its_own_messages_and_no_others(
    servers: Endpoints, service: str, tape_before: object
) -> None:
    own = {own_pattern(message, service).replace(">", "x.y") for message in publishes(service)}
    async with connected(servers, service) as user:
        assert await user.try_all(EVERY_MESSAGE - own) == EVERY_MESSAGE - own
        for subject in sorted(own):
            assert (await user.client.jetstream().publish(subject, b"{}")).stream == subjects.STREAM
    assert await stored(servers) == own


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_has_one_heartbeat_one_snapshot_its_own_dead_letters_and_its_own_lease(
    servers: Endpoints, service: str
) -> None:
    def kept_by(name: str) -> set[str]:
        leases = {subjects.lease(name)} if name in LEASED else set()
        return {subjects.heartbeat(name), subjects.dead_letter(name), f"{SNAPSHOT}.{name}"} | leases

    everything = {subject for name in SERVICES for subject in kept_by(name)}
    async with connected(servers, service) as user:
        assert await user.try_all(everything) == everything - kept_by(service)
        assert (await user.try_all({"raw.eur_usd"}) == set()) is (service == "market_data")


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_may_not_touch_streams(servers: Endpoints, service: str) -> None:
    names = [config.name for config in nats_config.STREAMS]
    verbs = ("CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE", "RESTORE", "SNAPSHOT")
    forbidden = {f"$JS.API.STREAM.{verb}.{name}" for verb in verbs for name in (*names, "NEW")}
    async with connected(servers, service) as user:
        assert await user.try_all(forbidden) == forbidden


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_cannot_listen_to_the_replies_of_another_nor_past_the_tape(
    servers: Endpoints, service: str
) -> None:
    foreign = {f"{nats_config.inbox_prefix(name)}.>" for name in nats_config.USERS if name != service}
    foreign |= {
        ">",
        "_INBOX.>",
        f"{SNAPSHOT}.>",
        "order.approved.>",
        *(set() if service in nats_config.RAW_SUBSCRIBERS else {"raw.>"}),
    }
    async with connected(servers, service) as user:
        for subject in sorted(foreign):
            await user.client.subscribe(subject)
        await user.client.subscribe(subjects.heartbeat(">"))
        await user.settle()
        assert user.denied == {subject.lower() for subject in foreign}


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
