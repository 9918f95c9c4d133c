"""One seed, one world: who reads next, what breaks, who dies and when follow from the seed alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any, Final

from tests.simulation import market
from tests.simulation.broker import Broker, Connection, Entry, Loss
from tests.simulation.invariants import Violation, Watch
from tests.simulation.system import ACCOUNT, makers
from tests.simulation.venue import Venue

from common.contracts import LEASED
from common.core import Core, Effect
from common.errors import TapeError
from common.messages import Message
from common.messages.base import Envelope
from common.messages.market_data import MarketSlice
from common.messages.orders import (
    AmendOrder,
    CancelOrder,
    GuardianLost,
    IntentFailed,
    IntentRecorded,
    Order,
    ProposeOrders,
)
from common.messages.risk import HaltTrading, ResumeTrading
from common.messages.venue import NotFound, Report, VenueConnection, VenueReported
from common.model.enums import DenyCode, OrderType, Side, TradingState
from common.runtime import snapshots
from common.runtime.codec import decode
from common.runtime.lease import RENEW_EVERY_S, Lease
from common.runtime.session import Outside, Session, envelope
from common.runtime.subjects import subject
from execution.effects import AmendAtVenue, CancelAtVenue, QueryOrder, RecordIntent, SendOrder, TakeSnapshot

STEPS: Final = 40
QUIET_STEPS: Final = 6  # at the end nothing breaks any more, and everything must come to rest
_NEVER: Final = float("inf")


@dataclass
class Waiting:
    """An effect that the shell has begun and not finished."""

    effect: Effect
    go: asyncio.Future[None]


class Process:
    """A service that can die, or freeze: everything but what it put on the tape, in its snapshot or into the journal is gone
    when it dies. Of a service with a lease there may be two; one of them speaks.
    """

    def __init__(self, name: str, instance: str, make: Callable[[], Core], world: World) -> None:
        self.name = name
        self.instance = instance
        self.make = make
        self._world = world
        self.core: Core = make()
        self.connection: Connection | None = None
        self.session: Session | None = None
        self.lease: Lease | None = None
        self.waiting: list[Waiting] = []
        self.frozen_until = 0.0
        self.clock_behind = 0.0  # a frozen process may wake up with an old idea of the time
        self._tasks: list[asyncio.Task[None]] = []
        self._renewed = 0.0
        self._leads = False

    @property
    def up(self) -> bool:
        return self.connection is not None and not self.connection.broken.done()

    @property
    def awake(self) -> bool:
        return self._world.now >= self.frozen_until

    @property
    def ready(self) -> bool:
        """Has something to read, and can."""
        return self.up and self.awake and self.connection is not None and self.connection.has_next()

    @property
    def speaks(self) -> bool:
        return self.up and self.session is not None and not self.session.standby

    def clock(self) -> float:
        return self._world.now - self.clock_behind

    async def start(self) -> None:
        self.core, self.waiting, self.clock_behind = self.make(), [], 0.0
        self.connection = Connection(self._world.broker, self.name)
        self._leads = False
        if self.name in LEASED:
            self.lease = Lease(self.connection, self.name, self.instance, clock=self.clock)
        self.session = Session(
            self.name,
            self.core,
            self.connection,
            mark=snapshots.fingerprint(self.core, b"simulation"),
            effects=self._perform,
            fence=self.lease,
            standby=self.lease is not None,
        )
        self.session._snapshot_due = _NEVER  # the scheduler takes them
        await self.try_to_lead(first=True)

    async def try_to_lead(self, *, first: bool = False) -> None:
        """What `service._speak` does, a step at a time."""
        if self._leads or self.session is None or self.connection is None:
            return
        try:
            if self.lease is not None and not await self.lease.take():
                await (self.session.start() if first else self.session.follow())
                return
            self._leads = True
            if self.lease is not None:
                self._renewed = self.clock()
                await self.lease.announce("simulation")
            self._tasks.append(asyncio.create_task(self._lead(self.session, self.connection)))
            await _run_tasks()
        except TapeError as error:
            self.connection.die(error)

    async def keep_lease(self) -> None:
        """Renews it when due, by its own clock."""
        if not (self._leads and self.lease is not None and self.connection is not None and self.up and self.awake):
            return
        if self.clock() - self._renewed < RENEW_EVERY_S:
            return
        self._renewed = self.clock()
        try:
            await self.lease.renew()
        except TapeError as error:
            self.connection.die(error)

    def freeze(self, seconds: float, *, clock_too: bool) -> None:
        self.frozen_until = self._world.now + seconds
        self.clock_behind = seconds if clock_too else 0.0

    async def die(self) -> None:
        for task in [*self._tasks, *(self.session._tasks if self.session is not None else ())]:
            task.cancel()
        self._tasks = []
        await asyncio.sleep(0)
        if self.connection is not None:
            self.connection.die(TapeError("killed"))
        self.session, self.frozen_until = None, 0.0

    async def snapshot(self) -> None:
        if self.session is not None and self.up and self.awake and not self.session.standby:
            self.session._snapshot()
            self.session._snapshot_due = _NEVER
            await _run_tasks()

    def bug(self) -> Exception | None:
        """What ended the session, if it was not the tape."""
        if self.connection is None or not self.connection.broken.done():
            return None
        error = self.connection.broken.result()
        return None if isinstance(error, TapeError) else error

    async def _lead(self, session: Session, connection: Connection) -> None:
        try:
            await session.lead()
        except Exception as error:  # noqa: BLE001 (the scheduler looks at what it was)
            connection.die(error)

    async def _perform(self, effect: Effect) -> Outside:
        """A request that adds risk leaves at once, and only its answer takes time; whatever else is done may be late."""
        assert self.session is not None
        session, at_once = self.session, isinstance(effect, SendOrder | AmendAtVenue)
        answer = self._world.perform(effect, session) if at_once else None
        waiting = Waiting(effect, asyncio.get_running_loop().create_future())
        self.waiting.append(waiting)
        await waiting.go
        return answer or self._world.perform(effect, session)


@dataclass
class World:
    """Make it, `await run()`. Raises Violation, or whatever a core raised."""

    seed: int
    random: Random = field(init=False)
    watch: Watch = field(default_factory=Watch)
    actions: int = 0
    deaths: int = 0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.paper = self.random.random() < 0.5
        self.lockstep = self.random.random() < 0.5
        # Nobody interferes: then whatever dies, trading is that of a run in one process.
        self.undisturbed = self.paper and self.lockstep and self.random.random() < 0.5
        self.trouble = self.random.choice((0.0, 0.1, 0.3))
        self.loss = self.random.choice((0.0, 0.002, 0.01))
        self.quiet = False
        self.database_up = True
        self.commands = self.connections = 0
        self.step = 0
        self.ts = market.START_NS
        self.now = 0.0
        self.freezes = 0
        self.broker = Broker(self._lose, self._stored, lambda: self.now)
        instruments = {instrument.instrument_id: instrument for instrument in market.instruments()}
        self.venue = Venue(
            self.random,
            self.trouble,
            lambda name: self.watch.px[name],
            {"USD": ACCOUNT.starting_cash},
            lambda name: instruments[name].quote,
        )
        makes = makers("paper" if self.paper else "reference")
        standby = self.random.random() < 0.5
        self.processes = [
            Process(name, instance, make, self)
            for name, make in makes.items()
            for instance in (("1", "2") if standby and name in LEASED else ("1",))
        ]
        self._slices: Iterator[MarketSlice] = market.slices(self.random, STEPS + QUIET_STEPS)

    # --- the run -------------------------------------------------------------------------------------

    async def run(self) -> None:
        self._say("market_data", market.opening(), cause=(0, 0))
        for process in self.processes:
            await process.start()
        self._tell_connection()
        while self.step < STEPS or not await self._at_rest():
            if self.step >= STEPS:
                break
            await self._act()
        await self._settle()
        self._judge()

    async def _act(self) -> None:
        self.actions += 1
        self.now += self.random.random() * 0.04
        await self._revive()
        await self._mind_the_leases()
        chance = self.random.random()
        for share, action in self._menu():
            if chance < share:
                await action()
                return
            chance -= share
        await self._deliver_somewhere()

    def _menu(self) -> tuple[tuple[float, Callable[[], Any]], ...]:
        return (
            (0.004, self._kill),
            (0.005, self._freeze),
            (0.02, self._take_snapshot),
            (0.012, self._command),
            (0.003, self._toggle_database),
            (0.003, self._toggle_venue),
            (0.02, self._venue_ticks),
            (0.06, self._venue_reports),
            (0.15, self._finish_effect),
            (0.05, self._next_slice),
        )

    async def _settle(self) -> None:
        """Trouble ends. Some more hours pass, and everything must come to rest."""
        self.quiet = True
        for process in self.processes:
            process.frozen_until = 0.0
        self.venue.up = self.database_up = True
        self.venue.trouble = 0.0
        self._tell_connection()
        for _ in range(200):
            await self._revive()
            await self._drain()
            if self.step >= STEPS + QUIET_STEPS:
                return
            self.venue.tick()
            await self._next_slice()
        raise Violation(f"the system does not come to rest: step {self.step}, {self.watch.risk_steps} closed")

    async def _drain(self) -> None:
        for _ in range(10_000):
            busy = False
            self.now += 0.02
            await self._mind_the_leases()
            for process in self.processes:
                if process.ready:
                    assert process.connection is not None
                    await process.connection.deliver()
                    await _run_tasks()
                    busy = True
            busy = await self._finish_effect() or busy
            busy = await self._venue_reports() or busy
            busy = await self._revive() or busy
            led = all(any(p.speaks for p in self.processes if p.name == name) for name in LEASED)
            if not busy and led:
                return
        raise Violation("the system never stops talking")

    async def _at_rest(self) -> bool:
        return False

    def _judge(self) -> None:
        for process in self.processes:
            if process.instance == "1":
                self.watch.replay(process.name, process.make())
            if process.name in LEASED:
                ledger = process.core.state.ledger
                positions = {one.instrument_id: one.signed_qty for one in ledger.positions.values()}
                self.watch.books_agree(f"{process.name} {process.instance}", positions, ledger.cash)
        if not self.paper:
            self.watch.books_agree("the venue", self.venue.positions, self.venue.cash)
            placed = [at.order.client_order_id for at in self.venue.orders]
            if len(placed) != len(set(placed)):
                twice = next(order_id for order_id in placed if placed.count(order_id) > 1)
                raise Violation(f"{twice} is at the venue twice")
        if self.undisturbed:
            cores = {process.name: process.make() for process in self.processes if process.instance == "1"}
            self.watch.same_as_in_one_process(cores)
        if self.watch.risk_steps != self.step:
            raise Violation(f"{self.step} slices, but {self.watch.risk_steps} steps were closed")

    # --- what happens --------------------------------------------------------------------------------

    async def _deliver_somewhere(self) -> bool:
        ready = [process for process in self.processes if process.ready]
        if not ready:
            await self._finish_effect()
            return False
        process = self.random.choice(ready)
        assert process.connection is not None
        await process.connection.deliver()
        await _run_tasks()
        return True

    async def _finish_effect(self) -> bool:
        awake = [process for process in self.processes if process.awake]
        waiting = [one for process in awake for one in process.waiting if not one.go.done()]
        if not waiting:
            return False
        one = waiting[0] if self.quiet else self.random.choice(waiting)
        one.go.set_result(None)
        for process in self.processes:
            process.waiting = [left for left in process.waiting if left is not one]
        await _run_tasks()
        return True

    async def _freeze(self) -> None:
        self.freezes += 1
        process = self.random.choice(self.processes)
        process.freeze(self.random.random() * 4, clock_too=self.random.random() < 0.5)

    async def _mind_the_leases(self) -> None:
        for process in self.processes:
            await process.keep_lease()
            if process.name in LEASED and process.awake and self.random.random() < 0.1:
                await process.try_to_lead()
        for service in LEASED:
            holders = [
                p
                for p in self.processes
                if p.name == service and p.lease and p.up and not p.clock_behind and p.lease.held()
            ]
            if len(holders) > 1:
                raise Violation(f"{service} has {len(holders)} holders of its lease")

    async def _kill(self) -> None:
        process = self.random.choice(self.processes)
        self.deaths += 1
        await process.die()

    async def _revive(self) -> bool:
        """Whether there was somebody to start again, who then has to read."""
        revived = False
        for process in self.processes:
            if (bug := process.bug()) is not None:
                raise bug
            if not process.up:
                await process.die()
                await process.start()
                revived = True
        return revived

    async def _take_snapshot(self) -> None:
        await self.random.choice(self.processes).snapshot()

    async def _toggle_database(self) -> None:
        if self.undisturbed:
            return
        self.database_up = not self.database_up

    async def _toggle_venue(self) -> None:
        self.venue.up = not self.venue.up
        self._tell_connection()

    async def _venue_ticks(self) -> None:
        if not self.paper:
            self.venue.tick()

    async def _venue_reports(self) -> bool:
        told = False
        for report in self.venue.reports():
            self._tell_execution(
                f"{report.client_order_id}:{type(report).__name__}:{getattr(report, 'trade_id', '')}", report
            )
            told = True
        return told

    async def _next_slice(self) -> None:
        behind = self.watch.risk_steps < self.step
        if behind and (self.lockstep or self.quiet or self.step - self.watch.risk_steps > 2):
            return
        following = next(self._slices, None)
        if following is None:
            return
        self.step, self.ts = following.step, following.ts_event
        self._say("market_data", following, cause=(following.step, 0))

    async def _command(self) -> None:
        if self.undisturbed:
            return
        self.commands += 1
        tired = self.watch.trading is TradingState.HALTED and self.random.random() < 0.7  # of being halted
        made = _resume(self) if tired else self.random.choice(COMMANDS)(self)
        if made is not None:
            self._say("operator", made)

    # --- effects -------------------------------------------------------------------------------------

    def perform(self, effect: Effect, session: Session) -> Outside:
        """What execution's shell does; the venue hears only the newest holder of the lease."""
        if not isinstance(effect, RecordIntent) and not self.venue.may_ask(session.token()):
            return self._unheard(effect)
        match effect:
            case RecordIntent():
                return self._record(effect)
            case SendOrder():
                self.watch.reached_venue(effect.order, session.seq)
                return self._answer(effect.order.client_order_id, "SEND", effect.attempt, self.venue.send(effect.order))
            case CancelAtVenue():
                answer = self.venue.cancel(effect.client_order_id)
                return self._answer(effect.client_order_id, "CANCEL", effect.attempt, answer)
            case AmendAtVenue():
                answer = self.venue.amend(effect.order)
                return self._answer(effect.order.client_order_id, "AMEND", effect.attempt, answer)
            case QueryOrder():
                name = effect.client_order_id
                answer = NotFound(client_order_id=name) if effect.held_back else self.venue.query(name)
                return self._answer(effect.client_order_id, "QUERY", effect.attempt, answer)
            case TakeSnapshot():
                return Outside(f"snapshot:{effect.number}", self.venue.snapshot(effect.number, self.ts))
        raise TypeError(f"no answer to {type(effect).__name__}")

    def _unheard(self, effect: Effect) -> Outside:
        """The answer of somebody whose tape will refuse it: it is never heard of."""
        return Outside(f"stale:{self.actions}", GuardianLost(ts_event=self.ts, silent_s=0.0))

    def _record(self, effect: RecordIntent) -> Outside:
        order_id = effect.order.client_order_id
        if not self.database_up:
            failed = IntentFailed(
                ts_event=effect.ts_event, client_order_id=order_id, code=DenyCode.INTENT_NOT_RECORDED, detail="down"
            )
            return Outside(order_id, failed)
        self.watch.journal.add(order_id)
        return Outside(order_id, IntentRecorded(ts_event=effect.ts_event, client_order_id=order_id))

    def _answer(self, order_id: str, request: str, attempt: int, report: Report) -> Outside:
        return Outside(f"{order_id}:{request}:{attempt}", VenueReported(ts_event=self.ts, report=report))

    # --- the tape ------------------------------------------------------------------------------------

    def _say(self, source: str, message: Message, cause: tuple[int, int] | None = None) -> None:
        """Something from outside the simulated processes."""
        identity = f"{source}:{message.TYPE}:{cause or self.commands}"
        sealed = envelope(source, message, identity, cause=None)
        if cause is not None:
            sealed = _replace(sealed, cause)
        self.broker.store(subject(message), sealed)

    def _tell_execution(self, key: str, report: Report) -> None:
        message = VenueReported(ts_event=self.ts, report=report)
        self.broker.store(subject(message), envelope("execution", message, f"{message.TYPE}::{key}", cause=None))

    def _tell_connection(self) -> None:
        if self.paper:
            return
        self.connections += 1
        up = self.venue.up
        message = VenueConnection(
            ts_event=self.ts,
            venue="reference",
            connected=up,
            breaker_open=False,
            failures=0,
            reason="" if up else "gone",
        )
        identity = f"{message.TYPE}::{self.connections}"
        self.broker.store(subject(message), envelope("execution", message, identity, cause=None))

    def _lose(self, service: str) -> Loss:
        if self.quiet or self.random.random() >= self.loss:
            return Loss()
        before = self.random.random() < 0.5
        return Loss(before=before, after=not before)

    def _stored(self, seq: int, entry: Entry) -> None:
        self.watch.stored(seq, entry.envelope, decode(entry.envelope))


def _replace(sealed: Envelope, cause: tuple[int, int]) -> Envelope:
    import msgspec

    return msgspec.structs.replace(sealed, cause_seq=cause[0], cause_index=cause[1])


async def _run_tasks() -> None:
    """Lets the tasks that a session has spawned come to their next wait."""
    for _ in range(4):
        await asyncio.sleep(0)


# --- what operators do -----------------------------------------------------------------------------------


def _halt(world: World) -> Message:
    return HaltTrading(
        ts_event=world.ts, book=market.BOOK, author="operator", reason="drill", flatten=world.random.random() < 0.5
    )


def _resume(world: World) -> Message | None:
    if world.watch.trading is TradingState.ACTIVE:
        return None
    return ResumeTrading(ts_event=world.ts, book=market.BOOK, author="operator", reason="drill over")


def _cancel(world: World) -> Message | None:
    if not world.watch.leaves:
        return None
    order_id = world.random.choice(list(world.watch.leaves))
    return CancelOrder(ts_event=world.ts, book=market.BOOK, author="operator", client_order_id=order_id, reason="drill")


def _amend(world: World) -> Message | None:
    if not world.watch.leaves:
        return None
    order_id = world.random.choice(list(world.watch.leaves))
    qty = max(Decimal(1), (world.watch.approved[order_id].qty * Decimal(world.random.choice(("0.5", "2")))).quantize(1))
    return AmendOrder(ts_event=world.ts, book=market.BOOK, author="operator", client_order_id=order_id, qty=qty)


def _propose(world: World) -> Message | None:
    name = world.random.choice(market.NAMES)
    px = world.watch.px.get(name)
    if px is None:
        return None
    entry_id, side = f"sim-manual-{world.commands}", world.random.choice(list(Side))
    whose = {"account": ACCOUNT.id, "strategy_id": "manual", "instrument_id": name, "qty": Decimal(1000), "ref_px": px}
    entry = Order(client_order_id=entry_id, side=side, **whose)
    back = Side.SELL if side is Side.BUY else Side.BUY
    exits = {"side": back, "parent_id": entry_id, "oco_group": f"{entry_id}-exits", "reduce_only": True, **whose}
    up, down = (px * Decimal("1.01")).quantize(Decimal("0.00001")), (px * Decimal("0.99")).quantize(Decimal("0.00001"))
    target, stop = (up, down) if side is Side.BUY else (down, up)
    orders = (
        entry,
        Order(client_order_id=f"{entry_id}-target", order_type=OrderType.LIMIT, limit_px=target, **exits),
        Order(client_order_id=f"{entry_id}-stop", order_type=OrderType.STOP, stop_px=stop, **exits),
    )
    return ProposeOrders(ts_event=world.ts, book=market.BOOK, author="operator", orders=orders)


def _guardian_lost(world: World) -> Message:
    return GuardianLost(ts_event=world.ts, silent_s=2.5)


COMMANDS: Final[tuple[Callable[[World], Message | None], ...]] = (
    _halt,
    _resume,
    _cancel,
    _cancel,
    _amend,
    _propose,
    _propose,
    _guardian_lost,
)


def run_seed(seed: int) -> dict[str, Any]:
    """One world, and what became of it; `violation` is empty when everything held."""
    world = World(seed)
    violation = ""
    try:
        asyncio.run(world.run())
    except Exception as error:  # noqa: BLE001 (whatever a seed raises is what we are looking for)
        violation = f"{type(error).__name__}: {error}"
    return {
        "seed": seed,
        "steps": world.step,
        "records": len(world.broker.entries),
        "fills": len(world.watch.fills),
        "deaths": world.deaths,
        "failovers": world.watch.failovers,
        "freezes": world.freezes,
        "violation": violation,
    }
