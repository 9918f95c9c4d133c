"""`ballast replay --check`: every service again over the recorded tape, output by output."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from ballast_cli.operator import endpoints_of
from common.contracts import ALL, INPUTS, pattern
from common.core import Core, Effect
from common.errors import BallastError
from common.messages.base import Message
from common.messages.control import RunStarted
from common.runtime.codec import decode, decode_envelope
from common.runtime.embedded import EmbeddedServers
from common.runtime.embedded.endpoints import Endpoints
from common.runtime.nats_tape import NatsTape
from common.runtime.supervisor import Status
from common.runtime.tape import Record, read_all
from market_data.feeds import LIVE
from market_data.source import FeedSource, source
from research.backtest import cores


class Check:
    """One service: what it says again, against what it had said. `first_difference` is empty while all is equal."""

    def __init__(self) -> None:
        self.messages = 0
        self.first_difference = ""
        self._expected: dict[tuple[int, int], Message] = {}

    def says(self, seq: int, index: int, message: Message) -> None:
        self._expected[seq, index] = message

    def had_said(self, seq: int, index: int, message: Message) -> None:
        """Call it in the order of the tape: what should have come before and has not is a difference too."""
        self.messages += 1
        for missed in [*takewhile(lambda key: key < (seq, index), self._expected)]:
            self._compare(*missed, None)
        self._compare(seq, index, message)

    def _compare(self, seq: int, index: int, message: Message | None) -> None:
        again = self._expected.pop((seq, index), None)
        if again != message and not self.first_difference:
            self.first_difference = f"cause {seq}, output {index}: had said {message}, says {again}"

    def result(self) -> dict[str, Any]:
        result: dict[str, Any] = {"messages": self.messages, "identical": not self.first_difference}
        return result if not self.first_difference else {**result, "first_difference": self.first_difference}


class Replay:
    """Feed it every record of a tape in order. Each of `watchers` sees every message, as it was recorded."""

    def __init__(self, watchers: Sequence[Callable[[Message], None]] = ()) -> None:
        self._watchers = watchers
        self.checks: dict[str, Check] = {}
        self._cores: Mapping[str, Core] = {}
        self._source: Iterator[tuple[int, Sequence[Message]]] = iter(())
        self._ordinal = -1
        self._before: list[tuple[int, Message]] = []  # services introduce themselves before the run begins

    def see(self, record: Record) -> None:
        envelope = decode_envelope(record.payload)
        message = decode(envelope)
        for watch in self._watchers:
            watch(message)
        if isinstance(message, RunStarted):
            self._begin(message)
        if envelope.cause_seq >= 0 and envelope.source in self.checks:
            if envelope.source == "market_data":
                self._advance_source(envelope.cause_seq)
            self.checks[envelope.source].had_said(envelope.cause_seq, envelope.cause_index, message)
        if self._cores:
            self._feed(record.seq, message)
        else:
            self._before.append((record.seq, message))

    def _feed(self, seq: int, message: Message) -> None:
        for name, core in self._cores.items():
            if type(message) in INPUTS[name]:
                outputs = [output for output in core.handle(message) if not isinstance(output, Effect)]
                for index, output in enumerate(outputs):
                    self.checks[name].says(seq, index, output)

    def _begin(self, run: RunStarted) -> None:
        config = json.loads(run.config)
        self._cores = cores(config)
        self.checks = {name: Check() for name in self._cores}
        if run.data != LIVE:  # what was live is on the tape and nowhere else
            self._source = _numbered(source(config))
            self._ordinal = -1
            self.checks = {"market_data": Check(), **self.checks}
        for seq, message in self._before:
            self._feed(seq, message)
        self._before = []

    def _advance_source(self, ordinal: int) -> None:
        while self._ordinal < ordinal:
            self._ordinal, messages = next(self._source)
            for index, message in enumerate(messages):
                self.checks["market_data"].says(self._ordinal, index, message)


def _numbered(source: FeedSource) -> Iterator[tuple[int, Sequence[Message]]]:
    yield 0, source.opening()
    yield from enumerate(source.steps(0), start=1)


def replay(home: Path, watchers: Sequence[Callable[[Message], None]] = ()) -> dict[str, Any]:
    """Checks the tape of a home; its servers are started for it where nothing runs. Each of `watchers` sees every message."""
    endpoints = endpoints_of(home)
    if Status.load(home) is not None:
        return asyncio.run(_check(endpoints, watchers))
    with EmbeddedServers(home) as endpoints:
        return asyncio.run(_check(endpoints, watchers))


async def _check(endpoints: Endpoints, watchers: Sequence[Callable[[Message], None]]) -> dict[str, Any]:
    tape = await NatsTape.connect(endpoints.login("operator"))
    run = Replay(watchers)
    try:
        count = await _read_all(tape, run)
    finally:
        await tape.close()
    if not run.checks:
        raise BallastError("the tape holds no run")
    services = {name: check.result() for name, check in run.checks.items()}
    return {"records": count, "services": services}


async def _read_all(tape: NatsTape, run: Replay) -> int:
    seen = 0

    async def on_record(record: Record) -> None:
        nonlocal seen
        run.see(record)
        seen += 1

    await read_all(tape, [pattern(message) for message in ALL], 1, on_record)
    return seen
