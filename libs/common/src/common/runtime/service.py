"""The shell around every core: one process, one connection at a time, rebuilt from the tape whenever that breaks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import uvloop

from common.contracts import FEATURED, LEASED
from common.core import Core
from common.errors import BallastError, ConfigError, DataError, PortError, TapeError
from common.model.run import Run
from common.runtime import http, logs, metrics, settings, snapshots, tracing, trading_metrics
from common.runtime.environment import Environment
from common.runtime.heartbeat import beat, keep_beating
from common.runtime.introduction import Speaker
from common.runtime.lease import TRY_EVERY_S, Lease
from common.runtime.login import Login
from common.runtime.nats_tape import NatsTape
from common.runtime.session import Effects, Session
from common.runtime.source import LiveSource, Source, SourceSession
from common.runtime.tape import Tape
from common.version import BUILD

RETRY_AFTER_S: Final = 0.2
CANCEL_AGAIN_AFTER_S: Final = 1.0
OBSERVE_EVERY_S: Final = 1.0
FOLLOW_EVERY: Final = 10  # attempts of a standby at the lease, from one look at its leader's progress to the next
# How much a process steps back, in units of `nice`, that orders do not wait for: history and pages.
BEHIND_ORDERS: Final = 10
EXIT_UNAVAILABLE: Final = 69  # EX_UNAVAILABLE: worth another try
EXIT_CONFIG: Final = 78  # sysexits: EX_CONFIG
EXIT_BUG: Final = 70  # EX_SOFTWARE

Config = Mapping[str, Any]


class Shell:
    """What a service adds to its core to reach the outside world. `effects` answers the core's effects; `start` gets the
    session's tape and may spawn watchers; both end with the session.
    """

    effects: Effects | None = None

    async def stand_by(self, session: Session, tape: Tape) -> None:
        """Called at the start of every session, also of one that may not speak yet."""

    async def start(self, session: Session, tape: Tape) -> None:
        """Called when the session is about to speak; `session.token()` is the fencing token from here on."""

    def observe(self, core: Core) -> None:
        """Called every OBSERVE_EVERY_S while the session speaks: sets gauges of what only the core's state tells. Nothing may be
        decided here.
        """

    async def stop(self) -> None:
        """Called when the session is over."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service: its name in the contracts and how to make its core, afresh for every session."""

    name: str
    core: Callable[[Config], Core]
    shell: Callable[[Config, Environment], Shell] = lambda config, environment: Shell()


@dataclass(frozen=True, slots=True)
class SourceService:
    """The service that begins the steps."""

    name: str
    source: Callable[[Config], Source | LiveSource]


class Process:
    """This process: what it was told, how it is, and whether it has been asked to stop."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.config: Config = json.loads(environment.config.read_bytes())
        self.run = settings.section(self.config, "run", Run)
        self.config_mark = _mark(self.config)
        self.health = http.Health(environment.service, BUILD)
        self.log = logs.configure(environment.service, BUILD)
        metrics.export(environment.service)
        tracing.start(environment)
        self.stopping = asyncio.Event()

    def waits_for(self, what: str, why: str) -> None:
        """Not ready, and says so. An empty `what` is ready."""
        self.health.waits_for = {what: why} if what else {}
        metrics.READY.set(0 if what else 1)

    def has_role(self, role: str) -> None:
        """Of a service with a lease: "leader", "standby", or neither while it is reconnecting."""
        self.health.role = role
        metrics.LEADER.set(role == "leader")

    def ready(self) -> None:
        """Waits for nothing any more."""
        settle_heap()
        self.waits_for("", "")


def run(service: Service | SourceService) -> NoReturn:
    """Entry point of `python -m <service>`. Never returns: exit codes 0 stopped, 69 port taken, 70 bug, 78 configuration."""
    try:
        environment = Environment.from_os()
        uvloop.run(_main(service, environment))
    except BallastError as error:
        give_up(error)
    sys.exit(0)


def give_up(error: BallastError) -> NoReturn:
    """Says why, and ends the process: with 69 where the same start may succeed later."""
    event, code = ("port", EXIT_UNAVAILABLE) if isinstance(error, PortError) else ("configuration", EXIT_CONFIG)
    print(json.dumps({"event": event, "error": str(error)}), file=sys.stderr)
    sys.exit(code)


async def _main(service: Service | SourceService, environment: Environment) -> None:
    process = Process(environment)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.stopping.set)
    stop_http = http.serve(process.health, environment.http_host, environment.http_port)
    process.log.info("started", port=environment.http_port)
    metrics.REBUILDS.labels("tape")
    try:
        while not process.stopping.is_set():
            try:
                await _one_life(service, process)
            except TapeError as error:
                process.waits_for("tape", str(error))
                process.log.warning("tape broken, starting over", error=str(error))
                metrics.REBUILDS.labels("tape").inc()
                await asyncio.sleep(RETRY_AFTER_S)
    except (ConfigError, DataError):
        raise
    except Exception:
        process.log.exception("bug: the process ends, its state is on the tape")
        sys.exit(EXIT_BUG)
    finally:
        stop_http()
    process.log.info("stopped")


async def _one_life(service: Service | SourceService, process: Process) -> None:
    """Connect, rebuild, live until the connection breaks or the process is asked to stop."""
    environment = process.environment
    process.waits_for("tape", f"connecting to {environment.nats_url}")
    tape = await NatsTape.connect(Login.of(environment))
    try:
        if isinstance(service, SourceService):
            await _live_source(service, process, tape)
        else:
            await _live_core(service, process, tape)
    finally:
        await tape.close()


async def _live_core(service: Service, process: Process, tape: Tape) -> None:
    core, shell = service.core(process.config), service.shell(process.config, process.environment)
    lease = Lease(tape, service.name, process.environment.instance) if service.name in LEASED else None
    session = Session(
        service.name,
        core,
        tape,
        mark=snapshots.fingerprint(core, process.config_mark),
        run_id=process.run.id,
        effects=shell.effects,
        caught_up=process.ready,
        fence=lease,
        standby=lease is not None,
        speaker=Speaker(process.environment.instance),
    )
    life = asyncio.create_task(_speak(process, tape, session, core, shell, lease))
    try:
        await shell.stand_by(session, tape)
        await _until_over(process, tape, life)
        if process.stopping.is_set():
            await session.stop()
    finally:
        process.has_role("")
        await shell.stop()
        await end(life)
        metrics.forget(service.name)
        if lease is not None:
            with contextlib.suppress(TapeError):
                await lease.release()


async def _speak(process: Process, tape: Tape, session: Session, core: Core, shell: Shell, lease: Lease | None) -> None:
    """The session's whole life, as a task that ends only by an error: stand by where there is a lease, then lead."""
    process.waits_for("recovery", "reading the tape from the last snapshot")
    async with contextlib.AsyncExitStack() as stack:

        def keep(work: Coroutine[Any, Any, None]) -> None:
            stack.push_async_callback(end, beside(tape, work))

        if lease is not None:
            await _stand_by(process, session, lease)
            keep(lease.keep())
            await lease.announce(process.run.id)
            process.has_role("leader")
            metrics.LEASE_TAKEN.inc()
        await beat(tape, process.health, session.seq)  # whoever sees a message of ours has seen that we are alive
        keep(keep_beating(tape, process.health, lambda: session.seq))
        await shell.start(session, tape)
        await session.lead()
        await session.trading.restore(tape)
        await _observe(process, session, core, shell)


async def _observe(process: Process, session: Session, core: Core, shell: Shell) -> None:
    """For ever. While it recovers the state is an old one."""
    while True:
        session.trading.flush()
        if not session.recovering:
            shell.observe(core)
            if process.environment.service in FEATURED:
                trading_metrics.observe_features(core.state)
        await asyncio.sleep(OBSERVE_EVERY_S)


async def _stand_by(process: Process, session: Session, lease: Lease) -> None:
    """Returns as soon as the lease is held. Where it is free the session has not begun to read."""
    if await lease.take():
        return
    process.has_role("standby")
    process.log.info("standby", leader=lease.holder)
    await session.start()
    for attempt in itertools.count():
        if await lease.take():
            break
        if attempt % FOLLOW_EVERY == 0:
            await session.follow()
        process.health.tick()
        await asyncio.sleep(TRY_EVERY_S)
    process.log.info("takes over", token=lease.token())


def settle_heap() -> None:
    """What was built up to here mostly stays: the collector looks at it once more and then leaves it alone. Else a full collection
    holds up one message in some thousands for tens of milliseconds.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def beside(tape: Tape, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that lives beside a session; its failure is the session's."""

    def failed(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not tape.broken.done():
            tape.broken.set_result(error if isinstance(error, Exception) else RuntimeError(repr(error)))

    task = asyncio.create_task(work)
    task.add_done_callback(failed)
    return task


async def _live_source(service: SourceService, process: Process, tape: Tape) -> None:
    source = service.source(process.config)
    session = SourceSession(
        source,
        tape,
        process.run,
        snapshots.fingerprint(source, process.config_mark),
        process.ready,
        Speaker(process.environment.instance),
    )
    heart = asyncio.create_task(keep_beating(tape, process.health, lambda: session.seq))
    feed = asyncio.create_task(session.run())
    watch = asyncio.create_task(_flush(session))
    try:
        await _until_over(process, tape, heart, feed, watch)
    finally:
        await end(feed)
        await end(watch)
        await end(heart)
        metrics.forget(service.name)


async def _flush(session: SourceSession) -> None:
    while True:
        session.trading.flush()
        await asyncio.sleep(OBSERVE_EVERY_S)


async def _until_over(process: Process, tape: Tape, *tasks: asyncio.Task[None]) -> None:
    """Returns when asked to stop; raises what broke the tape or a task. A task that merely ends is no reason."""
    stopping = asyncio.create_task(process.stopping.wait())
    waiting: set[asyncio.Future[Any]] = {stopping, tape.broken, *tasks}
    try:
        while not process.stopping.is_set():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if tape.broken in done:
                raise tape.broken.result()
            for task in done:
                task.result()
    finally:
        stopping.cancel()


def _mark(config: Config) -> bytes:
    """What of the configuration a core's state depends on: all but the speed, and the build that wrote it down."""
    run = {key: value for key, value in config.get("run", {}).items() if key not in ("speed", "build")}
    return json.dumps({**config, "run": run}, sort_keys=True).encode()


async def end(task: asyncio.Task[Any]) -> None:
    """Cancels until it has ended: before Python 3.12 `asyncio.wait_for` can swallow a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_AGAIN_AFTER_S)
    if not task.cancelled():
        task.exception()  # seen
