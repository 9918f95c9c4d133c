"""Target 2: three servers of NATS, of which the leader is killed, frozen, or cut off in one direction, under load."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from tests.chaos.books import compare
from tests.chaos.figures import percentiles
from tests.chaos.plant import Plant
from tests.chaos.trader import Trader, wander
from tests.chaos.voices import Said, Witness, until
from tests.support.nats_cluster import NatsCluster, Partition

from common.messages import OrderAccepted

TRADES_AGAIN_WITHIN_S: Final = 30.0
CUT_S: Final = 6.0
BETWEEN_S: Final = 1.0


class Trouble:
    """One server at a time; two of three can always agree."""

    def __init__(self, plant: Plant, trader: Trader) -> None:
        assert plant.cluster is not None
        self._cluster: NatsCluster = plant.cluster
        self._ways: list[Partition] = plant.ways
        self._trader = trader
        self._turn = itertools.count()
        self.gaps_s: list[float] = []  # from the trouble to the next order at the venue

    async def kill(self) -> None:
        leader = await self._leader()
        self._cluster.kill(leader)
        await self._until_trading()
        self._cluster.start(leader)

    async def freeze(self) -> None:
        leader = await self._leader()
        self._cluster.send(leader, signal.SIGSTOP)
        await self._until_trading()
        self._cluster.send(leader, signal.SIGCONT)

    async def cut(self) -> None:
        """What services say to a server gets lost, or what it says to them; who is connected there is on his own."""
        turn = next(self._turn)
        way, direction = self._ways[turn % len(self._ways)], ("to_client", "to_server")[turn % 2]
        setattr(way, direction, False)
        await asyncio.sleep(CUT_S)
        await self._until_trading()
        setattr(way, direction, True)

    async def _leader(self) -> int:
        end = time.monotonic() + TRADES_AGAIN_WITHIN_S
        while (leader := await asyncio.to_thread(self._cluster.leader)) is None:
            assert time.monotonic() < end, "no leader of the tape"
            await asyncio.sleep(0.1)
        return leader

    async def _until_trading(self) -> None:
        before = len(self._trader.orders.accepted)
        orders = self._trader.orders
        await until(lambda: len(orders.accepted) > before + 2, "orders are accepted again", TRADES_AGAIN_WITHIN_S)


async def drill(plant: Plant, *, kills: int, freezes: int, cuts: int) -> dict[str, Any]:
    trader = Trader(plant, "n", window=60, pause_s=0.15)
    trouble, accepted_ns = Trouble(plant, trader), [time.monotonic_ns()]
    plant.witness.hear.append(lambda said: _note(said, accepted_ns))
    acts: Sequence[Callable[[], Awaitable[None]]] = (
        [trouble.kill] * kills + [trouble.freeze] * freezes + [trouble.cut] * cuts
    )
    enough = asyncio.Event()
    market, trading = asyncio.create_task(wander(plant)), asyncio.create_task(trader.trade(enough.is_set))
    try:
        await until(lambda: len(trader.orders.accepted) > 10, "orders are accepted", 30)
        for act in acts:
            await act()
            await asyncio.sleep(BETWEEN_S)
    finally:
        enough.set()
        await trading
    await trader.settle()
    market.cancel()
    found = await compare(plant)
    missing, changed = await _read_again(plant)
    gaps = [(later - earlier) / 1e9 for earlier, later in itertools.pairwise(accepted_ns)]
    return {
        "leader_kills": kills,
        "freezes": freezes,
        "one_way_partitions": cuts,
        "on_tape": len(plant.witness.said),
        "acknowledged": plant.operator.acknowledged,
        "acknowledged_and_lost": missing + sum(name not in plant.orders.proposed for name in trader.names),
        "changed_on_tape": changed,
        "publish_gap_s": percentiles(plant.operator.gaps_s),
        "order_gap_s_max": round(max(gaps, default=0.0), 2),
        "orders": len(trader.orders.accepted),
        "denied": dict(sorted(trader.orders.denied.items())),
        "lost": found.lost,
        "duplicated": found.duplicated,
        "faults": found.faults,
        "unasked_ends": plant.crashes,
    }


def _note(said: Said, accepted_ns: list[int]) -> None:
    if isinstance(said.message, OrderAccepted):
        accepted_ns.append(said.heard_ns)


async def _read_again(plant: Plant) -> tuple[int, int]:
    """(messages heard that are not on the tape any more, places at which there is another one now)."""
    heard = {said.seq: said for said in plant.witness.said}
    again = Witness(plant.login("operator"))
    reading = asyncio.create_task(again.follow())
    last = plant.witness.said[-1].seq
    await until(lambda: bool(again.said) and again.said[-1].seq >= last, "the tape is read again", 60)
    reading.cancel()
    now = {said.seq: said for said in again.said}
    missing = [seq for seq in heard if seq not in now]
    changed = [seq for seq, said in heard.items() if seq in now and now[seq].message != said.message]
    return len(missing), len(changed)
