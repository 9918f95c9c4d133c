"""`make chaos`, or `python -m tests.chaos [--only kills,stops]`: the drills one after the other. Progress goes to stderr, one line of
JSON with every figure to stdout. Ends with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from tests.chaos import closed, cluster, disaster, disaster_outside, failovers, killing, recovery, stops
from tests.chaos.plant import plant
from tests.chaos.targets import missed

from common.errors import BallastError

KILL_EVERY_S: Final = 3.0
MISBEHAVE: Final = 0.05
DISK_MB: Final = 64
EXIT_STOPPED: Final = 130
STANDBYS: Final = ("recorder", "execution", "risk_guardian", "execution-2", "risk_guardian-2")

Figures = dict[str, dict[str, Any]]


class Drills:
    """`figures` by drill, as they come. A drill that breaks off says why, and the others go on."""

    def __init__(self, wanted: argparse.Namespace) -> None:
        self.figures: Figures = {}
        self._wanted = wanted
        self._only = set(filter(None, wanted.only.split(",")))

    def asked_for(self, *names: str) -> bool:
        return not self._only or bool(self._only.intersection(names))

    async def run(self) -> None:
        for stage in (self._one_of_each, self._standbys, self._three_nodes, self._fail_closed, self._disaster):
            await stage()

    async def _one_of_each(self) -> None:
        wanted = self._wanted
        if not self.asked_for("kills", "stops", "recovery", "rolling"):
            return
        async with plant() as made:
            killed = lambda: killing.drill(made, orders=wanted.orders, every_s=KILL_EVERY_S, misbehave=MISBEHAVE)  # noqa: E731
            await self._drill("kills", killed)
            await self._drill("stops", lambda: stops.drill(made, stops=wanted.stops, without_nats=wanted.without_nats))
            await self._drill("rolling", lambda: recovery.roll(made))
            await self._drill("recovery", lambda: recovery.recover(made, events=wanted.events))

    async def _standbys(self) -> None:
        if self.asked_for("failovers"):
            async with plant(STANDBYS) as made:
                await self._drill("failovers", lambda: failovers.drill(made, failovers=self._wanted.failovers))

    async def _three_nodes(self) -> None:
        wanted = self._wanted
        sizes = {"kills": wanted.leader_kills, "freezes": wanted.freezes, "cuts": wanted.partitions}
        if self.asked_for("cluster"):
            async with plant(nodes=3) as made:
                await self._drill("cluster", lambda: cluster.drill(made, **sizes))

    async def _fail_closed(self) -> None:
        if not self.asked_for("closed"):
            return
        disk_mb = DISK_MB if os.geteuid() == 0 else 0
        silence = {"cancel_after_silence_s": closed.CANCEL_AFTER_SILENCE_S}
        async with plant(disk_mb=disk_mb, execution=silence) as made:
            await self._drill("closed", lambda: closed.drill(made, own_disk=bool(disk_mb)))

    async def _disaster(self) -> None:
        if not self.asked_for("disaster"):
            return
        await self._drill("disaster", lambda: asyncio.to_thread(disaster.drill, ()))
        async with plant() as made:
            await self._drill("disaster_outside", lambda: disaster_outside.drill(made))

    async def _drill(self, name: str, run: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        if not self.asked_for(name.partition("_")[0]):
            return
        began = time.monotonic()
        say(f"{name} ...")
        try:
            self.figures[name] = await run()
        except (AssertionError, BallastError, TimeoutError) as error:
            self.figures[name] = {"broken": str(error) or type(error).__name__}
        say(f"{name}: {time.monotonic() - began:.0f} s {json.dumps(self.figures[name], default=str)}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos")
    sizes = {
        "orders": (10_000, "that reach the venue while everything is killed"),
        "stops": (30, "emergency stops under load"),
        "without-nats": (4, "times that NATS dies or freezes with orders at work"),
        "failovers": (20, "of guardian and execution, killed and frozen by turns"),
        "leader-kills": (3, "of three servers of NATS"),
        "freezes": (2, "of the leader"),
        "partitions": (2, "in one direction"),
        "events": (100_000, "on the tape from which services recover"),
    }
    for name, (default, what) in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=what)
    parser.add_argument("--only", default="", help="kills,stops,rolling,recovery,failovers,cluster,closed,disaster")
    drills, began = Drills(parser.parse_args()), time.monotonic()
    try:
        asyncio.run(_until_told(drills.run()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("stopped; nothing is left behind")
        return EXIT_STOPPED
    misses = missed(drills.figures)
    print(json.dumps({**headline(drills.figures), "drills": drills.figures, "missed": misses}, default=str))
    for miss in misses:
        say(f"missed: {miss}")
    say(f"{time.monotonic() - began:.0f} s")
    return 1 if misses else 0


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    """SIGTERM ends it as Ctrl-C does: with everything stopped and nothing left behind."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task


def headline(figures: Figures) -> dict[str, Any]:
    """Sums over the drills, and the figures asked for first; None for what was not run."""

    def total(name: str) -> int:
        return sum(result.get(name, 0) for result in figures.values())

    stop, takeover = figures.get("stops", {}).get("stop_ms", {}), figures.get("failovers", {}).get("takeover_s", {})
    return {
        "orders": total("orders"),
        "lost": total("lost") + total("acknowledged_and_lost"),
        "duplicated": total("duplicated"),
        "kills": total("kills") + total("failovers") + total("leader_kills"),
        "takeover_s": takeover.get("max"),
        "stop_ms_p50": stop.get("p50"),
        "stop_ms_p99": stop.get("p99"),
        "stop_ms_max": stop.get("max"),
    }


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
