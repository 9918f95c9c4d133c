"""PLT-11 at a venue outside, where time has gone on since the backup: trading is halted, what nobody knows of is a break, what is
proposed again is recognized, and nothing is sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from tests.chaos.disaster import place
from tests.chaos.market import BOOK, market, proposal, resting
from tests.chaos.plant import SERVERS, Plant
from tests.chaos.processes import Runner, keep_alive
from tests.chaos.venue import placed
from tests.chaos.voices import Said, until
from tests.support.system import ballast

from common.messages import ResumeTrading, TradingStateChanged
from common.messages.orders import BreakKind, Order, OrderDenied, ReconciliationBreak
from common.model.enums import TradingState
from common.runtime.backup import Servers, save
from common.runtime.embedded.servers import prepare

SERVICES: Final = ("recorder", "execution", "risk_guardian")
_POLL_S: Final = 0.02
_SEEN_AFTER_S: Final = 30.0


async def drill(plant: Plant) -> dict[str, Any]:
    """Orders, an archive, more orders of which it knows nothing, destruction, `ballast restore`: what the venue has is found out, and
    what is proposed once more is not sent once more.
    """
    known = [market("known0", 0), resting("known1", 2)]
    await _propose(plant, "before", *known)
    await until(lambda: all(plant.orders.accepted[order.client_order_id] for order in known), "they are at the venue")
    with place() as folder:
        archive = folder / "backup.zip"
        endpoints = plant.endpoints
        servers = Servers(endpoints.login("admin"), endpoints.login("operator"), endpoints.postgres_dsn_with_password())
        began = time.monotonic()
        await save(servers, archive, {}, secrets=False)
        backup_s = time.monotonic() - began
        # Lost: one that rests on EUR-USD, and a fill on GBP-USD.
        later = [resting("lost0", 1), market("lost1", 3)]
        await _propose(plant, "after", *later)
        await until(
            lambda: all(plant.orders.accepted[order.client_order_id] for order in later), "so are the later ones"
        )
        await _destroy(plant)
        began = time.monotonic()
        restored = await asyncio.to_thread(ballast, plant.home.root, "restore", str(archive))
        restore_s = time.monotonic() - began
    async with _raised(plant) as again:
        ready_s = time.monotonic() - began - restore_s
        found = await _what_comes_of_it(again, later)
    return {
        **found,
        "halted_by_restore": restored["halted"],
        "backup_s": round(backup_s, 2),
        "restore_s": round(restore_s, 2),
        "ready_s": round(ready_s, 2),
    }


async def _what_comes_of_it(plant: Plant, lost: Sequence[Order]) -> dict[str, Any]:
    heard = _Heard()
    for said in plant.witness.said:
        heard.hear(said)
    plant.witness.hear.append(heard.hear)
    await until(lambda: heard.state is TradingState.HALTED, "trading is halted")
    await plant.feed.slice()
    await until(lambda: heard.has(BreakKind.ORDER_UNKNOWN) and heard.has(BreakKind.POSITION), "breaks", _SEEN_AFTER_S)
    await _until_gone_at_venue(plant, lost[0].client_order_id)
    # Gone at the venue is one thing; until the next comparison has seen it, the instrument takes no new risk.
    await until(
        lambda: BreakKind.ORDER_UNKNOWN not in heard.standing, "the comparison that finds it gone", _SEEN_AFTER_S
    )
    await plant.operator.say(
        ("resume", ResumeTrading(ts_event=time.time_ns(), book=BOOK, author="drill", reason="drill"))
    )
    await until(lambda: heard.state is TradingState.ACTIVE, "trading goes on")
    # A strategy that sees the same market again proposes the same orders again.
    await _propose(plant, "again", *lost)
    await until(lambda: all(order.client_order_id in plant.orders.over for order in lost), "they are over again")
    await _propose(plant, "fresh", fresh := market("fresh0", 4))
    await until(lambda: plant.orders.over.get(fresh.client_order_id) == "filled", "others trade on")
    _, entries = await plant.desk.audit()
    at_venue = placed(entries)
    return {
        "breaks": sorted({f"{kind} {name}" for kind, name in heard.breaks}),
        "again": {order.client_order_id: plant.orders.over[order.client_order_id] for order in lost},
        "again_denied": sorted(heard.denied),
        "placed_twice": [name for name, times in at_venue.items() if times > 1],
        "placed": len(at_venue),
    }


class _Heard:
    """What a restored system says of itself."""

    def __init__(self) -> None:
        self.state: TradingState | None = None
        self.breaks: list[tuple[BreakKind, str]] = []
        self.standing: list[BreakKind] = []
        self.denied: set[str] = set()

    def hear(self, said: Said) -> None:
        match said.message:
            case TradingStateChanged(state=state):
                self.state = state
            case ReconciliationBreak(kind=kind, instrument_id=name, open=True):
                self.breaks.append((kind, name))
                self.standing.append(kind)
            case ReconciliationBreak(kind=kind) if kind in self.standing:
                self.standing.remove(kind)
            case OrderDenied(order=order, code=code):
                self.denied.add(f"{order.client_order_id} {code}")
            case _:
                return

    def has(self, kind: BreakKind) -> bool:
        return any(found is kind for found, _ in self.breaks)


async def _propose(plant: Plant, identity: str, *orders: Order) -> None:
    await plant.operator.say((identity, proposal(*orders)))


async def _until_gone_at_venue(plant: Plant, order_id: str) -> None:
    end = time.monotonic() + _SEEN_AFTER_S
    while any(order.terms.client_order_id == order_id for order in (await plant.desk.account()).orders):
        assert time.monotonic() < end, f"{order_id} still works at the venue, and nobody knows of it"
        await asyncio.sleep(_POLL_S)


async def _destroy(plant: Plant) -> None:
    """All but the venue, which is the world outside."""
    await plant.operator.close()
    await plant.feed.close()
    plant.feed.paused = True
    for name, runner in plant.runners.items():
        if name != "venue":
            runner.kill()
    shutil.rmtree((plant.home.root / "postgres").resolve())
    for path in plant.home.root.iterdir():
        path.unlink() if path.is_symlink() else shutil.rmtree(path)


@contextlib.asynccontextmanager
async def _raised(former: Plant) -> AsyncIterator[Plant]:
    """The plant again, on what was restored, with the venue that went on."""
    servers, endpoints = prepare(former.home)
    plant = Plant(former.home, endpoints)
    plant.desk, plant.feed.step = former.desk, former.feed.step
    tasks: list[asyncio.Task[None]] = []
    try:
        for server in servers:
            plant.runners[server.spec.name] = Runner(plant.home, server.spec, ready=server.ready)
            plant.runners[server.spec.name].start()
        await plant.until_ready(SERVERS)
        for name in SERVICES:
            plant.add(name, plant.config()).start()
        tasks += [
            asyncio.create_task(plant.witness.follow()),
            asyncio.create_task(keep_alive([*plant.runners.values()])),
        ]
        await plant.until_ready(SERVICES)
        yield plant
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await plant.operator.close()
        await plant.feed.close()
        for runner in plant.runners.values():
            runner.kill()
