"""Target 1: what NATS has acknowledged before the power fails. `make power-loss`, as root: it needs a disk of its own.

The disk is an ext4 image on a loop device. At the moment of the failure the image is copied as it is, beneath the mounted file
system: what the kernel still held in memory is not in the copy. The server is then killed, and one started on the copy.
Run with `sync_interval: always`, as Ballast does everywhere, and with the server's default, which must lose: that shows
that this drill can see a loss at all.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from tests.chaos.processes import Runner

from common.contracts import pattern
from common.messages import RiskStep
from common.runtime.codec import decode_envelope
from common.runtime.embedded import nats
from common.runtime.embedded.home import Home
from common.runtime.login import Login
from common.runtime.nats_config import ADMIN, provision_at
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.runtime.tape import Record, read_all
from common.testing.builders import a

EXIT_NOT_RUN: Final = 2
USER: Final = "risk_guardian"
IMAGE_MB: Final = 256
BATCH: Final = 50


def main() -> int:
    arguments = argparse.ArgumentParser(prog="make power-loss")
    arguments.add_argument("--messages", type=int, default=2_000, help="acknowledged before the power fails")
    wanted = arguments.parse_args()
    if os.geteuid() != 0:
        print("power-loss: not run: it mounts a disk image, which needs root", file=sys.stderr)
        return EXIT_NOT_RUN
    try:
        figures = {setting: asyncio.run(_lose_power(setting, wanted.messages)) for setting in ("always", "default")}
    except subprocess.CalledProcessError as error:
        print(f"power-loss: not run: {' '.join(error.cmd)}: {error.stderr.strip()}", file=sys.stderr)
        return EXIT_NOT_RUN
    safe = figures["always"]["kept"] == figures["always"]["acknowledged"]
    sees = figures["default"]["kept"] < figures["default"]["acknowledged"]
    print(json.dumps({**figures, "lost_with_always": figures["always"]["lost"], "default_shows_loss": sees}))
    return 0 if safe and sees else 1


async def _lose_power(sync_interval: str, messages: int) -> dict[str, int]:
    root = Path(tempfile.mkdtemp(prefix="ballast-power-"))
    try:
        with _disk(root / "disk.img", root / "nats"):
            home = Home(root)
            acked = await _write(home, sync_interval, messages, root / "copy.img")
        with _mounted(root / "copy.img", root / "nats"):
            kept = await _count(home, sync_interval)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    lost = len(acked - kept)
    print(f"sync_interval {sync_interval}: {len(acked)} acknowledged, {len(acked) - lost} kept", file=sys.stderr)
    return {"acknowledged": len(acked), "kept": len(acked) - lost, "lost": lost}


async def _write(home: Home, sync_interval: str, messages: int, copy: Path) -> set[str]:
    """Ids that were acknowledged before the power failed."""
    server, url, login = _server(home, sync_interval)
    server.start()
    try:
        await server.until_ready()
        await provision_at(nats.login(home, url, ADMIN))
        await asyncio.to_thread(os.sync)  # the empty stream was there long before
        acked = await _say(login, messages)
        await asyncio.to_thread(shutil.copyfile, home.root / "disk.img", copy)
    finally:
        server.kill()
    return acked


async def _say(login: Login, messages: int) -> set[str]:
    tape, acked = await NatsTape.connect(login), set()
    message = a(RiskStep)
    for first in range(0, messages, BATCH):
        ids = [f"step:{number}" for number in range(first, first + BATCH)]
        stored = [await tape.append(subject(message), envelope(USER, message, each, cause=None)) for each in ids]
        await asyncio.gather(*stored)
        acked.update(ids)
    await tape.close()
    return acked


async def _count(home: Home, sync_interval: str) -> set[str]:
    """Ids on the tape of a server that starts on what is left."""
    server, url, login = _server(home, sync_interval)
    server.start()
    kept: set[str] = set()

    async def keep(record: Record) -> None:
        kept.add(decode_envelope(record.payload).id)

    try:
        await server.until_ready()
        await provision_at(nats.login(home, url, ADMIN))  # where even the stream is gone
        tape = await NatsTape.connect(login)
        await asyncio.wait_for(read_all(tape, [pattern(RiskStep)], 1, keep), 30)
        await tape.close()
    finally:
        server.kill()
    return kept


def _server(home: Home, sync_interval: str) -> tuple[Runner, str, Login]:
    ports = home.ports(("nats", "nats.monitor"))
    made = nats.prepare(home, ports["nats"], ports["nats.monitor"])
    path = home.root / "nats" / "nats.conf"
    config: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    if sync_interval == "default":
        del config["jetstream"]["sync_interval"]
    path.write_bytes(msgspec.json.encode(config))
    url = f"nats://127.0.0.1:{ports['nats']}"
    login = nats.login(home, url, USER)
    return Runner(home, made.spec, ready=made.ready), url, login


@contextlib.contextmanager
def _disk(image: Path, at: Path) -> Iterator[None]:
    with image.open("wb") as file:
        file.truncate(IMAGE_MB * 2**20)
    _run("mkfs.ext4", "-q", "-F", str(image))
    with _mounted(image, at):
        yield


@contextlib.contextmanager
def _mounted(image: Path, at: Path) -> Iterator[None]:
    at.mkdir(exist_ok=True)
    _run("mount", "-o", "loop", str(image), str(at))
    try:
        yield
    finally:
        _run("umount", str(at))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit(main())
