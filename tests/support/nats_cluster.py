"""Three real nats-servers on loopback that replicate the streams, to be killed, frozen and cut off one by one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from common.errors import TapeError
from common.runtime import nats_config
from common.runtime.embedded import nats
from common.runtime.embedded.home import Home
from common.runtime.embedded.process import Process, spawn, stop
from common.runtime.login import Login
from common.runtime.subjects import STREAM

FORMED_WITHIN_S: Final = 30.0
_POLL_S: Final = 0.05


class NatsCluster:
    """Servers are numbered from 0. As a context manager it is formed, its streams replicated, and finally gone."""

    def __init__(self, root: Path, size: int = 3) -> None:
        self.home = Home(root)
        self.servers, self.url = nats.prepare_cluster(self.home, size)
        self._held = ExitStack()
        self._processes: dict[int, Process] = {}

    def __enter__(self) -> Self:
        with ExitStack() as started:
            for number in range(len(self.servers)):
                self.start(number)
                started.callback(self.end, number)
            self.wait_formed()
            self._held = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def login(self, user: str, *servers: int) -> Login:
        """To any server of the cluster, or to those named."""
        urls = self.url.split(",")
        url = ",".join(urls[number] for number in servers) if servers else self.url
        return nats.login(self.home, url, user)

    def start(self, number: int) -> None:
        self._processes[number] = spawn(self.home, self.servers[number].spec)

    def send(self, number: int, what: signal.Signals) -> None:
        self._processes[number].send_signal(what)

    def kill(self, number: int) -> None:
        """-9."""
        self._processes[number].kill()
        self._processes[number].wait()

    def end(self, number: int) -> None:
        self.send(number, signal.SIGCONT)
        stop(self._processes[number], self.servers[number].spec)

    def wait_formed(self) -> None:
        """Returns when the streams are there and every server is up to date."""
        self._until(self._provisioned, "the streams are made")
        self._until(lambda: self.leader() is not None, "the tape has a leader")
        self._until(lambda: all(server.ready() for server in self.servers), "all servers are healthy")

    def leader(self) -> int | None:
        """Which server leads the tape; None while nobody does, or nobody who answers knows."""
        names = [server.spec.name for server in self.servers]
        for number, process in self._processes.items():
            if process.poll() is None and (name := self._leader_seen_by(number)):
                return names.index(name)
        return None

    def _leader_seen_by(self, number: int) -> str:
        config = json.loads(Path(self.servers[number].spec.argv[-1]).read_text())
        url = f"http://{config['http']}/jsz?streams=true&accounts=true"
        try:
            with urllib.request.urlopen(url, timeout=0.5) as answer:
                found: dict[str, Any] = json.load(answer)
        except OSError:
            return ""
        streams = [s for account in found.get("account_details", ()) for s in account.get("stream_detail", ())]
        return next((s.get("cluster", {}).get("leader", "") for s in streams if s["name"] == STREAM), "")

    def _provisioned(self) -> bool:
        with contextlib.suppress(TapeError):
            asyncio.run(nats_config.provision_at(self.login(nats_config.ADMIN), len(self.servers)))
            return True
        return False

    @staticmethod
    def _until(true: Any, what: str) -> None:
        end = time.monotonic() + FORMED_WITHIN_S
        while not true():
            if time.monotonic() > end:
                raise AssertionError(f"not within {FORMED_WITHIN_S:g} s: {what}")
            time.sleep(_POLL_S)


class Partition:
    """A TCP proxy in front of a server that can swallow what flows in either direction: a half-open connection."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self.to_server = True
        self.to_client = True

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:  # the server is dead: so is the way to it
            writer.close()
            return
        for source, sink, way in ((reader, far_writer, "to_server"), (far_reader, writer, "to_client")):
            pipe = asyncio.create_task(self._pump(source, sink, way))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, way: str) -> None:
        """What is swallowed is lost for good; the connection stays open until somebody closes it."""
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if getattr(self, way):
                    sink.write(data)
                    await sink.drain()
        sink.close()
