"""Target 4: from the word to stop to the last order and the last cancel at the venue, in every way in which it can be said."""

from __future__ import annotations

import asyncio
import itertools
import signal
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from tests.chaos.books import compare
from tests.chaos.figures import percentiles
from tests.chaos.market import BOOK, market, proposal
from tests.chaos.plant import Plant
from tests.chaos.trader import Trader
from tests.chaos.voices import until

from common.messages import HaltTrading, OrderDenied, ResumeTrading, TradingStateChanged
from common.messages.venue import Request
from common.model.enums import DenyCode, TradingState
from common.runtime.emergency import ask_to_stop
from execution.reference_venue.audit import Entry

WORKING: Final = 20
BATCH: Final = 2
LOAD_EVERY_S: Final = 0.02  # 100 orders a second
QUIET_S: Final = 0.6
GONE_WITHIN_S: Final = 20.0


class Stop(NamedTuple):
    """Milliseconds from the word: until the last new order came to the venue (0: none did), the first cancel and the last;
    how many orders worked when it was said, and still do.
    """

    way: str
    order_ms: float
    first_cancel_ms: float
    cancel_ms: float
    working: int
    left: int


class Stops:
    """A market under load, halted and resumed again and again."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.state = TradingState.ACTIVE
        self.trader = Trader(plant, "s", batch=BATCH, pause_s=LOAD_EVERY_S)
        self.names = itertools.count()
        self.ways: dict[str, Callable[[str], Awaitable[Any]]] = {
            "command": self._by_command,
            "file": self._by_file,
            "signal": self._by_signal,
        }
        plant.witness.hear.append(self._hear)

    async def stop(self, way: str) -> Stop:
        await self.load()
        began = time.monotonic_ns()
        await self.ways[way](f"drill {next(self.names)}")
        await until(lambda: self.state is TradingState.HALTED, f"halted by {way}", 20)
        await asyncio.sleep(QUIET_S)
        _, entries = await self.plant.desk.audit()
        return measured(way, entries, began, len((await self.plant.desk.account()).orders))

    async def load(self) -> None:
        """At least so many orders work, and more come and trade all the time."""
        before = len(self.trader.orders.accepted)
        self.trader.rest_every = 2
        await until(lambda: len(self.trader.orders.accepted) >= before + 2 * WORKING, "orders work", 30)

    async def resume(self) -> None:
        now = time.time_ns()
        word = ResumeTrading(ts_event=now, book=BOOK, author="drill", reason="drill")
        await self.plant.operator.say((f"resume:{now}", word))
        await until(lambda: self.state is TradingState.ACTIVE, "trading goes on", 20)

    async def survives_restart(self) -> bool:
        """Halted, killed -9, started again: whether the next order is still denied for the halt."""
        for name in ("risk_guardian", "execution"):
            await self.plant.runners[name].kill_and_start()
        await self.plant.until_ready()
        name = f"after-restart-{next(self.names)}"
        codes: list[DenyCode] = []

        def hear(said: Any) -> None:
            if isinstance(said.message, OrderDenied) and said.message.order.client_order_id == name:
                codes.append(said.message.code)

        self.plant.witness.hear.append(hear)
        await self.plant.operator.say((name, proposal(market(name, 1))))
        await until(lambda: bool(codes), "an order after the restart has its answer", 20)
        return codes == [DenyCode.TRADING_HALTED]

    async def without_nats(self, how: signal.Signals) -> Stop:
        """Killed or frozen: nobody says anything, and execution takes its orders off the market by itself."""
        await self.load()
        nats = self.plant.runners["nats"]
        nats.wanted = False
        began = time.monotonic_ns()
        nats.send(how)
        try:
            await self._until_nothing_works()
        finally:
            await asyncio.sleep(QUIET_S)
            _, entries = await self.plant.desk.audit()
            left = len((await self.plant.desk.account()).orders)
            if how is signal.SIGSTOP:
                nats.send(signal.SIGCONT)
                nats.wanted = True
            else:
                await nats.kill_and_start()
        await self.plant.until_ready()
        return measured(f"nats {how.name}", entries, began, left)

    async def _until_nothing_works(self) -> None:
        end = time.monotonic() + GONE_WITHIN_S
        while working := len((await self.plant.desk.account()).orders):
            assert time.monotonic() < end, f"{working} orders still work {GONE_WITHIN_S:g} s after NATS was gone"
            await asyncio.sleep(0.02)

    def _hear(self, said: Any) -> None:
        if isinstance(said.message, TradingStateChanged):
            self.state = said.message.state

    async def _by_command(self, reason: str) -> None:
        halt = HaltTrading(ts_event=time.time_ns(), book=BOOK, author="drill", reason=reason)
        await self.plant.operator.say((f"halt:{reason}", halt))

    async def _by_file(self, reason: str) -> None:
        ask_to_stop(self.plant.place("risk_guardian"), reason, flatten=False)

    async def _by_signal(self, reason: str) -> None:
        self.plant.runners["risk_guardian"].send(signal.SIGUSR1)


def measured(way: str, entries: list[Entry], began: int, left: int) -> Stop:
    def after_ms(kind: Request) -> list[float]:
        return sorted((entry.at_ns - began) / 1e6 for entry in entries if entry.request == kind and entry.at_ns > began)

    orders, cancels = after_ms(Request.SEND) or [0.0], after_ms(Request.CANCEL) or [0.0]
    return Stop(way, orders[-1], cancels[0], cancels[-1], len(cancels), left)


async def drill(plant: Plant, *, stops: int, without_nats: int) -> dict[str, Any]:
    """Leaves trading active."""
    stage = Stops(plant)
    done: list[Stop] = []
    alone: list[Stop] = []
    survived: list[bool] = []
    enough = asyncio.Event()
    trading = asyncio.create_task(stage.trader.trade(enough.is_set))
    try:
        for number, way in enumerate(itertools.islice(itertools.cycle(stage.ways), stops)):
            done.append(await stage.stop(way))
            if number == 0:
                survived.append(await stage.survives_restart())
            await stage.resume()
        ways_to_go = itertools.islice(itertools.cycle((signal.SIGKILL, signal.SIGSTOP)), without_nats)
        alone += [await stage.without_nats(how) for how in ways_to_go]
    finally:
        enough.set()
        await trading
    await stage.trader.give_up()
    found = await compare(plant)
    by_way = {way: percentiles([s.cancel_ms for s in done if s.way == way]) for way in stage.ways}
    return {
        "stops": len(done),
        "stop_ms": percentiles([s.cancel_ms for s in done]),
        "stop_ms_by_way": by_way,
        "first_cancel_ms": percentiles([s.first_cancel_ms for s in done]),
        "last_order_ms": percentiles([s.order_ms for s in done]),
        "canceled": sum(s.working for s in done),
        "at_work_median": statistics.median_low(s.working for s in done),
        "still_working": sum(s.left for s in (*done, *alone)),
        "survives_restart": all(survived),
        "without_nats": len(alone),
        "without_nats_ms": percentiles([s.cancel_ms for s in alone]),
        "without_nats_last_order_ms": percentiles([s.order_ms for s in alone]),
        "lost": found.lost,
        "duplicated": found.duplicated,
        "faults": found.faults,
    }
