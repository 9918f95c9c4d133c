"""`ballast up`: servers, services, a look at the tape, until Ctrl-C or the end of the data."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import asyncpg
from rich.live import Live

from ballast_cli.output import err, out
from ballast_cli.watch import View
from common.contracts import ALL, LEASED, pattern
from common.errors import BallastError, TapeError
from common.messages.base import Message
from common.messages.control import RunStarted
from common.messages.market_data import MarketDataEnded
from common.messages.risk import TradingStateChanged
from common.model.enums import TradingState
from common.runtime import nats_config
from common.runtime.codec import decode, decode_envelope
from common.runtime.embedded.endpoints import Endpoints
from common.runtime.embedded.process import ProcessSpec
from common.runtime.environment import TRACES_ENDPOINT, read_secret
from common.runtime.nats_tape import NatsTape
from common.runtime.supervisor import Supervisor
from common.runtime.tape import Record
from gateway.auth import Keys
from recorder.schema import migrate
from recorder.store import begin_anew
from research.summary import Summary

# Those who listen start before those who speak; the step begins last.
SERVICES: Final = ("recorder", "gateway", "execution", "risk_guardian", "portfolio", "signals", "regime", "market_data")
_POLL_S: Final = 0.05
_SHOW_EVERY_S: Final = 0.25


class Reader:
    """Follows the tape as `operator`, over any break of the connection, from the start of the present run."""

    def __init__(self, endpoints: Endpoints, see: Callable[[Message], None]) -> None:
        self._login = endpoints.login("operator")
        self._see = see
        self._seq = 0

    async def follow(self) -> None:
        """For ever."""
        while True:
            with contextlib.suppress(TapeError):
                tape = await NatsTape.connect(self._login)
                try:
                    await tape.read([pattern(message) for message in ALL], self._seq + 1, self._on_record)
                    await asyncio.wait([tape.broken])
                finally:
                    await tape.close()
            await asyncio.sleep(_POLL_S)

    async def _on_record(self, record: Record) -> None:
        self._seq = record.seq
        self._see(decode(decode_envelope(record.payload)))


async def up(
    home: Path,
    config: Mapping[str, Any],
    *,
    until_end: bool,
    fresh: bool,
    quiet: bool,
    standby: bool = False,
    traces: str = "",
) -> dict[str, Any]:
    """Runs until asked to stop, or with `until_end` until the data is over; returns the run's summary. With `standby` a second
    instance of every service that has a lease waits to take over. `traces` is where spans go; empty: as the environment says.
    """
    started, summary = time.perf_counter(), Summary()
    path = home / "config.json"
    env = {TRACES_ENDPOINT: traces} if traces else {}
    specs = [ProcessSpec(name=name, argv=(sys.executable, "-m", name), env=env) for name in SERVICES]
    if standby:
        specs += [ProcessSpec(name=f"{name}-2", argv=(sys.executable, "-m", name), env=env) for name in LEASED]

    async def before_services(endpoints: Endpoints) -> None:
        run_id = await _run_to_go_on_with(endpoints, config, fresh=fresh or until_end)
        if run_id is None:
            run_id = secrets.token_hex(8)
            await _begin_anew(endpoints)
        path.write_text(json.dumps({**config, "run": {**config["run"], "id": run_id}}))

    say = (lambda line: None) if quiet else (lambda line: err.print(f"  {line}", style="dim", markup=False))
    supervisor = Supervisor(home, specs, path, say=say, before_services=before_services)
    async with supervisor:
        view = View(_address(supervisor))
        if not quiet:
            out.print(f"console  {_login_link(home, supervisor)}", markup=False, soft_wrap=True)
            out.print(f"password {home / 'secrets' / 'gateway_password'} (user admin)", markup=False, soft_wrap=True)

        def see(message: Message) -> None:
            summary.see(message)
            view.see(message)
            if until_end and summary.complete:
                supervisor.request_stop()

        reader = asyncio.create_task(Reader(supervisor.endpoints, see).follow())
        screen = asyncio.create_task(_show(view, quiet=quiet))
        waiting = asyncio.create_task(supervisor.wait())
        try:
            done, _ = await asyncio.wait((waiting, reader), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (reader, screen, waiting):
                task.cancel()
            await asyncio.gather(reader, screen, waiting, return_exceptions=True)
        restarts = sum(process.restarts for process in supervisor.status.processes.values())
    result = {**summary.result(), "wall_s": round(time.perf_counter() - started, 2), "restarts": restarts}
    return {**result, "complete": summary.complete}


async def _run_to_go_on_with(endpoints: Endpoints, config: Mapping[str, Any], *, fresh: bool) -> str | None:
    """The id of the run on the tape if it is this very one and not over; None to begin anew.

    Raises BallastError where that would forget a halt, or mix two runs.
    """
    begun, over, halted = await _on_tape(endpoints)
    if begun is None:
        return None
    recorded = json.loads(begun.config)
    same = _identity(recorded) == _identity(config)
    if same and not over and not fresh:
        return str(recorded["run"]["id"])
    if not fresh and halted:
        raise BallastError("trading is halted in this home; `ballast up --fresh` begins anew and forgets the halt")
    if not fresh and not same and not over:
        wanted = f"profile {begun.profile}, data {begun.data}"
        raise BallastError(f"this home is in the middle of another run ({wanted}); go on with it, or use --fresh")
    return None


async def _on_tape(endpoints: Endpoints) -> tuple[RunStarted | None, bool, bool]:
    """(the run on the tape, whether its data is over, whether trading is halted)."""
    tape = await NatsTape.connect(endpoints.login("operator"))
    try:
        begun, ended, state = [
            await tape.last([pattern(kind)]) for kind in (RunStarted, MarketDataEnded, TradingStateChanged)
        ]
    finally:
        await tape.close()
    run = _message(begun)
    changed = _message(state)
    halted = isinstance(changed, TradingStateChanged) and changed.state is TradingState.HALTED
    return (run if isinstance(run, RunStarted) else None), ended is not None, halted


def _message(record: Record | None) -> Message | None:
    return decode(decode_envelope(record.payload)) if record else None


def _identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without what may change between two starts of one run."""
    plain: dict[str, Any] = json.loads(json.dumps(config))
    plain["run"] = {key: value for key, value in plain["run"].items() if key not in ("id", "speed", "build")}
    return plain


async def _begin_anew(endpoints: Endpoints) -> None:
    """An empty tape, and a database that waits for it; safe to repeat when it was interrupted."""
    last_seq = await nats_config.begin_new_tape_at(endpoints.login(nats_config.ADMIN))
    connection = await asyncpg.connect(endpoints.postgres_dsn_with_password())
    try:
        await migrate(connection)
        await begin_anew(connection, last_seq)
    finally:
        await connection.close()


def _address(supervisor: Supervisor) -> str:
    return f"http://127.0.0.1:{supervisor.status.processes['gateway'].http_port}"


def _login_link(home: Path, supervisor: Supervisor) -> str:
    """Logs a browser in once; afterwards the password counts."""
    Keys.of_home(home, os.environ)
    token = read_secret(home / "secrets" / "gateway_token")
    return f"{_address(supervisor)}/login?token={token}"


async def _show(view: View, *, quiet: bool) -> None:
    if quiet:
        return
    if not out.is_terminal:
        while True:
            await asyncio.sleep(5)
            out.print(view.render())
    with Live(view.render(), console=out, auto_refresh=False, screen=False) as live:
        while True:
            live.update(view.render(), refresh=True)
            await asyncio.sleep(_SHOW_EVERY_S)
