"""The tape on NATS passes the suite that the one in memory passes, and breaks rather than lie."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig
from support.nats_cluster import NatsCluster

from common.errors import ConfigError, TapeError
from common.runtime.embedded import EmbeddedServers
from common.runtime.embedded.endpoints import Endpoints
from common.runtime.login import Login, new_seed
from common.runtime.nats_config import ADMIN, begin_new_tape_at, provision_at
from common.runtime.nats_tape import NatsTape
from common.testing.conformance import Connect, TapeConformance, collect, entry

# The regime service's own subject is said by it; the suite's other subjects belong to others.
SPEAKERS = {"regime": "regime", "signals": "signals", "md": "market_data", "execution": "execution"}


class _AsWhoMay:
    """One connection for each user the suite speaks as: permissions stay on."""

    def __init__(self, tapes: dict[str, NatsTape]) -> None:
        self._tapes = tapes
        self.broken = asyncio.get_running_loop().create_future()
        for tape in tapes.values():
            tape.broken.add_done_callback(self._on_broken)

    def _on_broken(self, broken: asyncio.Future[Exception]) -> None:
        if not self.broken.done():
            self.broken.set_result(broken.result())

    def __getattr__(self, name: str) -> object:
        return getattr(self._tapes["operator"], name)

    async def append(self, subject, envelope):  # type: ignore[no-untyped-def]
        return await self._tapes[SPEAKERS[subject.split(".")[0]]].append(subject, envelope)

    async def claim(self, *arguments) -> None:  # type: ignore[no-untyped-def]
        await self._tapes["execution"].claim(*arguments)

    async def lease_of(self, service: str) -> object:
        return await self._tapes[service].lease_of(service)

    async def hold_lease(self, service: str, name: str, revision: int) -> int | None:
        return await self._tapes[service].hold_lease(service, name, revision)

    async def flush(self) -> None:
        for tape in self._tapes.values():
            await tape.flush()

    async def put_snapshot(self, service: str, value: bytes) -> None:
        await self._tapes[service].put_snapshot(service, value)

    async def beat(self, service: str, payload: bytes) -> None:
        await self._tapes[service].beat(service, payload)

    async def close(self) -> None:
        for tape in self._tapes.values():
            await tape.close()


def login(endpoints: Endpoints, user: str) -> Login:
    return endpoints.login(user)


async def connections(log_in: Callable[[str], Login]) -> AsyncIterator[Connect]:
    """To an empty tape."""
    admin = log_in(ADMIN)
    await begin_new_tape_at(admin)
    opened: list[_AsWhoMay] = []

    async def open_one() -> _AsWhoMay:
        users = {*SPEAKERS.values(), "operator"}
        tape = _AsWhoMay({user: await NatsTape.connect(log_in(user)) for user in sorted(users)})
        opened.append(tape)
        return tape

    yield open_one  # type: ignore[misc]
    for tape in opened:
        await tape.close()


class TestNatsTape(TapeConformance):
    @pytest.fixture
    async def connect(self, servers: Endpoints) -> AsyncIterator[Connect]:
        async for connect in connections(partial(login, servers)):
            yield connect


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with NatsCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


class TestReplicatedTape(TapeConformance):
    @pytest.fixture
    async def connect(self, cluster: NatsCluster) -> AsyncIterator[Connect]:
        async for connect in connections(cluster.login):
            yield connect


@pytest.mark.req("PLT-02")
async def test_a_broken_connection_is_said_once_and_never_used_again(home: Path) -> None:
    servers = EmbeddedServers(home)
    with servers as endpoints:
        await provision_at(endpoints.login(ADMIN))
        tape = await NatsTape.connect(login(endpoints, "regime"))
        await (await tape.append("regime.step.v1.fx", entry(1)))
        servers.processes["nats"].kill()
        error = await asyncio.wait_for(asyncio.shield(tape.broken), 10)
        assert isinstance(error, TapeError)
        with pytest.raises(TapeError):
            await tape.append("regime.step.v1.fx", entry(2))
        await tape.close()


@pytest.mark.req("PLT-02")
async def test_a_forbidden_message_breaks_the_tape_instead_of_vanishing(servers: Endpoints) -> None:
    tape = await NatsTape.connect(login(servers, "regime"))
    await tape.append("order.approved.v1.paper.book", entry(99, "forbidden"))
    error = await asyncio.wait_for(asyncio.shield(tape.broken), 10)
    assert isinstance(error, ConfigError)
    assert "NATS user regime may not publish on order.approved.v1.paper.book" in str(error)
    await tape.close()


async def test_a_key_of_nobody_or_a_dead_server_is_one_error(servers: Endpoints) -> None:
    with pytest.raises(
        TapeError, match=r"as regime: the server does not know this user's key \(Authorization Violation\)$"
    ):
        await NatsTape.connect(Login(servers.nats_url, "regime", new_seed()))
    with pytest.raises(TapeError, match=r"127\.0\.0\.1:1 "):
        await NatsTape.connect(Login("nats://127.0.0.1:1", "regime", new_seed()))


@pytest.mark.req("PLT-12")
async def test_a_forged_sign_of_life_is_not_heard(servers: Endpoints) -> None:
    """A consumer of the tape can be aimed at the guardian's heartbeat; what it delivers must not count as one."""
    listener = await NatsTape.connect(login(servers, "execution"))
    forger = await NatsTape.connect(login(servers, "regime"))
    heard: list[bytes] = []
    await listener.listen("risk_guardian", heard.append)
    await (await forger.append("regime.step.v1.fx", entry(1000, "forged")))
    config = ConsumerConfig(deliver_subject="heartbeat.risk_guardian", filter_subject="regime.step.v1.>")
    await forger._stream.add_consumer("TAPE", config)
    records = await collect(listener, ["regime.step.v1.>"], 1, 1)
    await asyncio.sleep(0.3)
    assert records
    assert heard == []
    await forger.close()
    await listener.close()


@pytest.mark.req("PLT-04")
async def test_a_forged_acknowledgement_is_not_believed(servers: Endpoints) -> None:
    """A server that delivered a consumer's messages to a foreign inbox would deliver them like this: under their own subject.
    Today's servers do so only where somebody subscribes to it without a wildcard.
    """
    tape = await NatsTape.connect(login(servers, "signals"))
    stored = await tape.append("signals.step.v1.x", entry(2000, "acked"))
    await tape._on_ack(Msg(tape._client, subject="regime.step.v1.0", data=b'{"stream":"TAPE","seq":1}'))
    assert await stored > 1
    await tape.close()
