"""The system of a home as a check sees it from outside: its processes, its tape, its servers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import httpx

from ballast_cli.operator import endpoints_of
from ballast_cli.orders import newest
from common import messages as m
from common.contracts import ALL, LEASED, pattern
from common.errors import ConfigError, TapeError
from common.messages.base import Envelope, Message
from common.model.enums import TradingState
from common.runtime.codec import decode, decode_envelope
from common.runtime.embedded.endpoints import Endpoints
from common.runtime.nats_tape import NatsTape
from common.runtime.supervisor import ProcessStatus, Status
from common.runtime.tape import Record, read_all
from execution.venue_settings import PAPER, REFERENCE

T = TypeVar("T")
M = TypeVar("M", bound=Message)

STANDBY: Final = "-2"
READ_WITHIN_S: Final = 60.0
_HTTP_WITHIN_S: Final = 1.0
_POLL_S: Final = 0.05


class Said(NamedTuple):
    seq: int
    envelope: Envelope
    message: Message


class System:
    """Of a home in which something runs, or has run. `alertmanager` is the URL of one whose webhook points at `webhook` here."""

    def __init__(self, home: Path, *, alertmanager: str = "", webhook: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.home = home
        self.alertmanager = alertmanager
        self.webhook = webhook

    @cached_property
    def endpoints(self) -> Endpoints:
        return endpoints_of(self.home)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The effective configuration that the services were started with."""
        found: dict[str, Any] = json.loads((self.home / "config.json").read_bytes())
        return found

    def require_paper(self) -> None:
        """Raises TapeError where nothing runs, ConfigError where orders go to a venue outside: controls are exercised on paper."""
        self.status()
        venue = self.config.get("execution", {}).get("venue", PAPER)
        if venue not in (PAPER, REFERENCE):
            raise ConfigError(f"execution.venue = {venue!r}: readiness exercises a paper system; expected {PAPER}")

    @cached_property
    def _http(self) -> httpx.Client:
        return httpx.Client(timeout=_HTTP_WITHIN_S, trust_env=False)

    # --- processes -----------------------------------------------------------------------------------------------------------

    def status(self) -> Status:
        """Raises TapeError where nothing runs."""
        status = Status.load(self.home)
        if status is None:
            raise TapeError(f"{self.home}: nothing runs here; start it with `ballast up`")
        return status

    def services(self) -> dict[str, ProcessStatus]:
        return {name: each for name, each in self.status().processes.items() if each.http_port is not None}

    def instances(self, service: str) -> list[str]:
        """Names of its processes: one, or two where there is a standby."""
        return [name for name in self.services() if name in (service, f"{service}{STANDBY}")]

    def leader(self, service: str) -> str | None:
        """The process that says it leads; None while nobody does."""
        for name in self.instances(service):
            if self.ask_http(name, "/health/ready").get("role") == "leader":
                return name
        return None

    def ready(self, name: str) -> bool:
        return bool(self.ask_http(name, "/health/ready").get("ready"))

    def ask_http(self, name: str, path: str) -> dict[str, Any]:
        """What the process answers; empty where it does not."""
        process = self.services().get(name)
        if process is None:
            return {}
        with suppress(httpx.HTTPError, ValueError):
            url = f"http://127.0.0.1:{process.http_port}{path}"
            found = self._http.get(url).json()
            return found if isinstance(found, dict) else {}
        return {}

    @contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """These processes stand still meanwhile."""
        pids = [self.services()[name].pid for name in names]
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def kill(self, name: str) -> None:
        os.kill(self.services()[name].pid, signal.SIGKILL)

    # --- the tape ------------------------------------------------------------------------------------------------------------

    def ask(self, work: Callable[[NatsTape], Awaitable[T]]) -> T:
        """Some work on the tape, as the operator. Raises TapeError."""

        async def run() -> T:
            tape = await NatsTape.connect(self.endpoints.login("operator"))
            try:
                return await work(tape)
            finally:
                await tape.close()

        return asyncio.run(run())

    def newest(self, kind: type[M]) -> M | None:
        return self.ask(lambda tape: newest(tape, kind))

    def end(self) -> int:
        """The last sequence on the tape now."""
        record = self.ask(lambda tape: tape.last([pattern(kind) for kind in ALL]))
        return record.seq if record else 0

    def said(self, *kinds: type[Message], after: int = 0) -> list[Said]:
        """All messages of some kinds with a sequence above `after`, up to the end of the tape of now. Raises TapeError."""
        return self.ask(lambda tape: _read(tape, [pattern(kind) for kind in kinds], after))

    def trading_state(self) -> TradingState:
        changed = self.newest(m.TradingStateChanged)
        return changed.state if changed else TradingState.ACTIVE

    def all_lead(self) -> bool:
        """Whether every leased service has a leader."""
        return all(self.leader(service) for service in LEASED)


def until(true: Callable[[], bool], within_s: float) -> float | None:
    """Seconds until the condition held; None if it did not in time."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > within_s:
            return None
        time.sleep(_POLL_S)
    return time.monotonic() - began


def order_id(message: Any) -> str:
    """Of what is said about an order."""
    return str(getattr(message, "order", message).client_order_id)


async def _read(tape: NatsTape, patterns: list[str], after: int) -> list[Said]:
    found: list[Said] = []

    async def keep(record: Record) -> None:
        sealed = decode_envelope(record.payload)
        found.append(Said(record.seq, sealed, decode(sealed)))

    try:
        await asyncio.wait_for(read_all(tape, patterns, after + 1, keep), READ_WITHIN_S)
    except TimeoutError:
        raise TapeError(f"the tape was not read to its end within {READ_WITHIN_S:g} s") from None
    return found
