"""Three nats-servers, one of them killed, frozen or cut off while a leader speaks: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

import pytest
from support.nats_cluster import NatsCluster, Partition

from common.contracts import pattern
from common.errors import TapeError
from common.messages import RiskStep
from common.runtime.codec import decode_envelope
from common.runtime.heartbeat import keep_beating
from common.runtime.http import Health
from common.runtime.lease import Lease
from common.runtime.login import Login
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.testing.builders import a
from common.testing.conformance import collect

SERVICE: Final = "risk_guardian"
GAP_WITHIN_S: Final = 10.0

pytestmark = [pytest.mark.req("PLT-02", "PLT-12"), pytest.mark.timeout(300)]


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with NatsCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


class Speaker:
    """Says numbered steps under a lease, as a session does: whatever breaks, it connects again and repeats what was not
    acknowledged.
    """

    def __init__(self, login: Login) -> None:
        self.login = login
        self.acked: list[int] = []
        self.longest_gap_s = 0.0
        self._next = 0
        self._acked_at = time.monotonic()

    async def run(self) -> None:
        while True:
            try:
                tape = await NatsTape.connect(self.login)
                try:
                    await self._one_life(tape)
                finally:
                    await tape.close()
            except TapeError:
                await asyncio.sleep(0.1)

    async def _one_life(self, tape: NatsTape) -> None:
        lease = Lease(tape, SERVICE, "1")
        while not await lease.take():  # noqa: ASYNC110 (no event tells)
            await asyncio.sleep(0.1)
        await lease.announce("run")
        helpers = [
            asyncio.create_task(lease.keep()),
            asyncio.create_task(keep_beating(tape, Health(SERVICE, "test"), lambda: 0)),
        ]
        speech = asyncio.create_task(self._speak(tape))
        try:
            await asyncio.wait({tape.broken, speech, *helpers}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (speech, *helpers):
                task.cancel()
            await asyncio.gather(speech, *helpers, return_exceptions=True)

    async def _speak(self, tape: NatsTape) -> None:
        message = a(RiskStep)
        while True:
            batch = range(self._next, self._next + 5)
            stored = [
                await tape.append(subject(message), envelope(SERVICE, message, f"step:{n}", cause=None)) for n in batch
            ]
            await asyncio.gather(*stored)
            now = time.monotonic()
            self.longest_gap_s = max(self.longest_gap_s, now - self._acked_at)
            self._acked_at = now
            self.acked += batch
            self._next += len(batch)
            await asyncio.sleep(0.005)

    async def until_speaks(self) -> None:
        """Until something more is acknowledged."""
        count = len(self.acked)
        async with asyncio.timeout(30):
            while len(self.acked) == count:  # noqa: ASYNC110 (no event tells)
                await asyncio.sleep(0.02)


async def said(login: Login) -> list[str]:
    tape = await NatsTape.connect(login)
    first, *_ = await collect(tape, [pattern(RiskStep)], 1, 1)
    records = await collect(tape, [pattern(RiskStep)], 1, first.pending + 1)
    await tape.close()
    return [decode_envelope(record.payload).id for record in records]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=lambda how: how.name)
def test_the_tape_survives_its_leaders_death(cluster: NatsCluster, how: signal.Signals) -> None:
    async def scenario() -> Speaker:
        speaker = Speaker(cluster.login(SERVICE))
        speaking = asyncio.create_task(speaker.run())
        await speaker.until_speaks()
        for _ in range(2):
            leader = await asyncio.to_thread(cluster.leader)
            assert leader is not None
            cluster.send(leader, how)
            await asyncio.sleep(8)
            await speaker.until_speaks()
            if how is signal.SIGKILL:
                cluster.kill(leader)
                cluster.start(leader)
            else:
                cluster.send(leader, signal.SIGCONT)
            await asyncio.sleep(3)
            await speaker.until_speaks()
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)
        return speaker

    speaker = asyncio.run(scenario())
    times = Counter(asyncio.run(said(cluster.login(SERVICE))))
    print(f"\n{how.name} of the leader: {len(speaker.acked)} acknowledged, longest gap {speaker.longest_gap_s:.1f} s")
    assert [n for n in speaker.acked if times[f"step:{n}"] != 1] == []
    assert set(times.values()) == {1}
    assert speaker.longest_gap_s <= GAP_WITHIN_S


@pytest.mark.parametrize("way", ["to_client", "to_server"])
def test_a_connection_that_is_open_one_way_only_is_given_up(cluster: NatsCluster, way: str) -> None:
    async def scenario() -> tuple[Speaker, float]:
        direct = cluster.login(SERVICE)
        host, port = direct.url.split(",")[0].removeprefix("nats://").split(":")
        async with Partition(host, int(port)) as partition:
            speaker = Speaker(Login(partition.url, SERVICE, direct.seed))
            speaking = asyncio.create_task(speaker.run())
            await speaker.until_speaks()
            speaker.login = direct
            setattr(partition, way, False)
            began = time.monotonic()
            await asyncio.sleep(1)
            await speaker.until_speaks()
            took = time.monotonic() - began
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
        return speaker, took

    speaker, took = asyncio.run(scenario())
    times = Counter(asyncio.run(said(cluster.login(SERVICE))))
    print(f"\n{way} cut: speaks again after {took:.1f} s")
    assert [n for n in speaker.acked if times[f"step:{n}"] != 1] == []
    assert set(times.values()) == {1}
    assert took <= GAP_WITHIN_S
