"""Target 5: whatever is missing or wrong, no new risk reaches the venue."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from tests.chaos.books import compare
from tests.chaos.market import market, proposal, resting
from tests.chaos.plant import Plant
from tests.chaos.voices import Said, until

from common.messages import OrderDenied
from common.messages.venue import Request
from common.model.enums import DenyCode
from common.model.time import NS_PER_HOUR, NS_PER_MINUTE

ANSWERED_WITHIN_S: Final = 20.0
SILENCE_S: Final = 3.0
SETTLES_WITHIN_S: Final = 1.0
UNHEARD: Final = 40
CANCEL_AFTER_SILENCE_S: Final = 4.0
WORKING: Final = 10
STALE_AFTER_NS: Final = 10 * NS_PER_MINUTE  # bars are minutes, and four of them are stale

PROVED_ELSEWHERE: Final = {
    "forged approval while the guardian is silent": "tests/integration/test_system.py"
    "::test_execution_accepts_nothing_while_the_guardian_is_silent_and_exits_work_when_it_is_back",
    "PostgreSQL frozen": "tests/integration/test_system.py::test_no_order_adds_risk_while_its_intent_cannot_be_recorded",
}


class Closed:
    """One thing after the other is taken away and given back. Each drill answers whether it failed closed."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._numbers = itertools.count()
        self._codes: dict[str, DenyCode] = {}
        plant.witness.hear.append(self._hear)

    async def stale_price(self) -> bool:
        """Data time goes on, prices do not come any more."""
        plant = self._plant
        plant.feed.paused = True
        await plant.feed.slice(ts_event=time.time_ns() + STALE_AFTER_NS, quotes=())
        closed = await self._is_denied(DenyCode.STALE_PRICE)
        plant.feed.ahead_ns += STALE_AFTER_NS
        await plant.feed.slice()
        plant.feed.paused = False
        return closed

    async def clock_jump(self) -> bool:
        """A slice from an hour ago."""
        plant = self._plant
        plant.feed.paused = True
        await plant.feed.slice(ts_event=time.time_ns() - NS_PER_HOUR)
        closed = await self._is_denied(DenyCode.CLOCK_JUMP)
        await plant.feed.slice()
        plant.feed.paused = False
        return closed

    async def silent_guardian(self) -> bool:
        """Frozen: nothing is approved, and what works is taken off the market."""
        plant, guardian = self._plant, self._plant.runners["risk_guardian"]
        orders = [resting(f"c{next(self._numbers)}", n) for n in range(WORKING)]
        await plant.operator.say((f"silent:{time.time_ns()}", proposal(*orders)))
        await until(lambda: all(plant.orders.accepted[o.client_order_id] for o in orders), "orders work", 20)
        guardian.send(signal.SIGSTOP)
        began = time.monotonic_ns()
        try:
            await plant.operator.say((f"unheard:{began}", proposal(market(f"c{next(self._numbers)}", 0))))
            await asyncio.sleep(CANCEL_AFTER_SILENCE_S + 2)
            working = len((await plant.desk.account()).orders)
            sent = await self._sent_since(began)
        finally:
            guardian.send(signal.SIGCONT)
        await plant.until_ready()
        await until(lambda: not plant.orders.open, "orders are over", 30)
        return not working and not sent

    async def postgres_down(self) -> bool:
        """Killed, and not started again for a while."""
        plant, postgres = self._plant, self._plant.runners["postgres"]
        postgres.kill()
        try:
            return await self._is_denied(DenyCode.INTENT_NOT_RECORDED)
        finally:
            await postgres.kill_and_start()
            await plant.until_ready()

    async def sequence_gap(self) -> bool:
        """A slice that never came: the next one has the number after it."""
        plant = self._plant
        plant.feed.paused = True
        plant.feed.step += 1
        await plant.feed.slice()
        closed = await self._is_denied(DenyCode.CLOCK_JUMP)
        await plant.feed.slice()
        plant.feed.paused = False
        return closed

    async def disk_full(self) -> bool:
        """Nothing can be written to the tape, so nobody is heard and nothing is sent that is not written down. With room again and
        the server started anew, trading goes on and all books agree.
        """
        plant, nats = self._plant, self._plant.runners["nats"]
        filler = plant.home.root / "nats" / "filler"
        _fill(filler)
        unheard = [asyncio.create_task(self._propose()) for _ in range(UNHEARD)]
        try:
            await asyncio.sleep(SETTLES_WITHIN_S)  # the last block of a file has room for a few messages more
            began = time.monotonic_ns()
            await asyncio.sleep(SILENCE_S)
            closed = not all(task.done() for task in unheard) and not await self._sent_since(began)
        finally:
            filler.unlink()
        await nats.kill_and_start()
        names = await asyncio.gather(*unheard)
        await plant.until_ready()
        await until(lambda: plant.orders.over.keys() >= set(names), "every order has its end", 30)
        again = await self._propose()
        await until(lambda: again in plant.orders.over, "trading goes on", 30)
        return closed and plant.orders.over[again] == "filled" and not (await compare(plant)).faults

    async def _is_denied(self, code: DenyCode) -> bool:
        """An order that adds risk, now, is denied for that, and the venue does not hear of it."""
        began = time.monotonic_ns()
        name = await self._propose()
        await until(lambda: name in self._plant.orders.over, f"an order has its end ({code})", ANSWERED_WITHIN_S)
        return self._codes.get(name) is code and not await self._sent_since(began)

    async def _propose(self) -> str:
        number = next(self._numbers)
        name = f"c{number}"
        await self._plant.operator.say((f"closed:{name}", proposal(market(name, 1, "adds"))))
        return name

    async def _sent_since(self, began: int) -> int:
        _, entries = await self._plant.desk.audit()
        return sum(entry.request == Request.SEND and entry.at_ns > began for entry in entries)

    def _hear(self, said: Said) -> None:
        if isinstance(said.message, OrderDenied):
            self._codes[said.message.order.client_order_id] = said.message.code


async def drill(plant: Plant, *, own_disk: bool) -> dict[str, Any]:
    """`own_disk`: the tape has a small one for itself, which can be filled."""
    stage = Closed(plant)
    drills: dict[str, Callable[[], Awaitable[bool]]] = {
        "stale price": stage.stale_price,
        "clock jump": stage.clock_jump,
        "sequence gap": stage.sequence_gap,
        "silent guardian": stage.silent_guardian,
        "PostgreSQL down": stage.postgres_down,
    }
    shown: dict[str, bool | str] = {name: await show() for name, show in drills.items()}
    shown["disk full"] = await stage.disk_full() if own_disk else "not run: a disk of its own needs root"
    return {"shown": shown, "proved_elsewhere": PROVED_ELSEWHERE}


def _fill(path: Path) -> None:
    with path.open("wb") as file:
        block = b"\0" * 2**16
        try:
            while True:
                os.write(file.fileno(), block)
        except OSError:
            return
