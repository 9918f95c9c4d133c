"""One guardian and one execution speak, whatever is killed or frozen; the next one takes over in seconds (PLT-12, RSK-09)."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from support.system import SPAN, System, ballast, until

from common.contracts import LEASED, pattern
from common.errors import TapeError
from common.messages import HaltTrading, LeaseTaken, OrderAccepted, RiskStep, TradingStateChanged
from common.model.enums import TradingState
from common.runtime.codec import decode, decode_envelope
from common.runtime.embedded import Endpoints
from common.runtime.emergency import STOP_FILE, ask_to_stop
from common.runtime.lease import Lease
from common.runtime.login import Login
from common.runtime.nats_config import ADMIN, begin_new_tape_at
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.testing.builders import a
from common.testing.conformance import collect
from common.testing.service_process import ServiceProcess

FAILOVERS: Final = int(os.environ.get("BALLAST_FAILOVERS", "3"))
TAKEOVER_WITHIN_S: Final = 5.0

pytestmark = [pytest.mark.req("PLT-12"), pytest.mark.timeout(300)]


class Pair:
    """Two instances of the guardian, each in a home of its own; nobody restarts them."""

    def __init__(self, endpoints: Endpoints, roots: tuple[Path, Path]) -> None:
        self.instances = [
            ServiceProcess("risk_guardian", endpoints, root, BALLAST_INSTANCE=str(number))
            for number, root in enumerate(roots, 1)
        ]

    def leader(self) -> int | None:
        """Which of the two says that it leads."""
        roles = [instance.health().get("role") for instance in self.instances]
        return roles.index("leader") if "leader" in roles else None

    def until_leads(self, number: int) -> float:
        """Seconds until that one leads and is ready."""
        began = time.perf_counter()

        def leads() -> bool:
            health = self.instances[number].health()
            return bool(health["ready"]) and health.get("role") == "leader"

        until(leads, f"instance {number + 1} leads", 20)
        return time.perf_counter() - began


@pytest.fixture
def endpoints(servers: Endpoints) -> Endpoints:
    begin = begin_new_tape_at(servers.login(ADMIN))
    asyncio.run(begin)
    time.sleep(2.5)  # leases of a test before
    return servers


@pytest.fixture
def pair(endpoints: Endpoints, tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(endpoints, (tmp_path / "one", tmp_path / "two"))
    with ExitStack() as stack:
        for instance in pair.instances:
            stack.enter_context(instance)
        yield pair


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=lambda how: how.name)
def test_a_standby_takes_over_within_seconds_and_the_former_leader_comes_back_as_standby(
    pair: Pair, endpoints: Endpoints, how: signal.Signals
) -> None:
    took = []
    for _ in range(FAILOVERS):
        leader = pair.leader()
        assert leader is not None
        victim = pair.instances[leader]
        victim.send(how)
        took.append(pair.until_leads(1 - leader))
        if how is signal.SIGSTOP:
            victim.send(signal.SIGCONT)
        else:
            victim.kill()
            victim.start()
        until(lambda: victim.health().get("role") == "standby", "the former leader stands by")  # noqa: B023
        victim.wait_ready()
        assert pair.leader() == 1 - leader
    print(f"\ntakeover after {how.name}: {summary(took)}")
    assert max(took) < TAKEOVER_WITHIN_S
    taken = asyncio.run(leases_taken(endpoints))
    assert [m.token for m in taken] == sorted({m.token for m in taken})
    assert all(former.instance != present.instance for former, present in itertools.pairwise(taken))
    assert len(taken) == 1 + FAILOVERS


@pytest.mark.req("PLT-04")
def test_a_process_started_again_in_the_place_of_its_dead_self_does_not_wait_for_the_lease(
    endpoints: Endpoints, tmp_path: Path
) -> None:
    took = []
    with ServiceProcess("risk_guardian", endpoints, tmp_path) as guardian:
        for _ in range(FAILOVERS):
            guardian.kill()
            began = time.perf_counter()
            guardian.start()
            guardian.wait_ready()
            took.append(time.perf_counter() - began)
    print(f"\nkilled and ready again: {summary(took)}")
    assert statistics.median(took) < 2.0  # less than the lease lasts


def test_a_leader_that_is_stopped_properly_hands_over_at_once(pair: Pair) -> None:
    leader = pair.leader()
    assert leader is not None
    assert pair.instances[leader].stop() == 0
    took = pair.until_leads(1 - leader)
    print(f"\nhanded over in {took:.2f} s")
    assert took < 1.5


async def test_what_a_holder_says_after_it_was_replaced_never_reaches_the_tape(endpoints: Endpoints) -> None:
    """The fence alone: this holder's own clock still believes in its lease."""
    tapes = [await NatsTape.connect(guardian_login(endpoints)) for _ in range(2)]
    former, present = (Lease(tape, "risk_guardian", name) for tape, name in zip(tapes, "12", strict=True))
    assert await former.take()
    await former.announce("test")
    step = a(RiskStep)
    await (await tapes[0].append(subject(step), envelope("risk_guardian", step, "fence:1", cause=None)))
    await asyncio.sleep(2.5)
    assert await present.take()
    await present.announce("test")
    former._until = time.monotonic() + 60
    sent = [
        await tapes[0].append(subject(step), envelope("risk_guardian", step, f"fence:late:{n}", cause=None))
        for n in range(5)
    ]
    await asyncio.gather(*sent, return_exceptions=True)
    assert isinstance(await asyncio.wait_for(asyncio.shield(tapes[0].broken), 5), TapeError)
    await (await tapes[1].append(subject(step), envelope("risk_guardian", step, "fence:2", cause=None)))
    said = await collect(tapes[1], [pattern(RiskStep)], 1, 2)
    assert [b'"fence:1"' in said[0].payload, b'"fence:2"' in said[1].payload] == [True, True]
    for tape in tapes:
        await tape.close()


@pytest.mark.req("PLT-02")
def test_freezing_and_killing_leaders_with_standbys_changes_no_order_and_no_fill(home: Path, tmp_path: Path) -> None:
    config = home / "patient.toml"
    config.write_text("[execution]\nguardian_timeout_s = 30\nintent_timeout_s = 30\ncancel_after_silence_s = 120\n")
    expected = ballast(tmp_path, "backtest", *SPAN, "--config", str(config))
    with System(home, *SPAN, "--config", str(config), "--speed", "8", "--until-end", "--standby") as system:
        until(lambda: len(system.said(RiskStep)) > 5, "the run is under way")
        for service, how in itertools.product(LEASED, (signal.SIGSTOP, signal.SIGKILL)):
            assert system.running, "the run was over too soon"
            leader = leading(home, service)
            system.kill(leader, how)
            if how is signal.SIGSTOP:
                until(lambda: leading(home, service) != leader, "the standby leads", 20)  # noqa: B023
                system.kill(leader, signal.SIGCONT)
            time.sleep(1)
        result = system.result(timeout_s=240)
    assert result["digest"] == expected["digest"]


@pytest.mark.req("RSK-09")
@pytest.mark.parametrize("way", ["file", "signal", "command"])
def test_the_guardians_host_can_stop_trading_while_everything_else_is_down(home: Path, way: str) -> None:
    others = ("gateway", "recorder", "portfolio", "signals", "redis", "postgres")
    with System(home, *SPAN, "--speed", "15") as system:
        until(lambda: len(system.said(OrderAccepted)) > 3, "orders are accepted")
        pids = [pid for pid in map(system.pid, others) if pid is not None]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)  # down, and the supervisor does not bring them back
        began = time.time_ns()
        ask(way, home, system)
        try:
            until(lambda: bool(system.said(TradingStateChanged)), "the guardian halts", 10)
            tape = system.tape()
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        until(lambda: not (home / STOP_FILE).exists(), "the request is done", 5)
    command_at, asked = next((seq, e) for seq, e, m in tape if isinstance(m, HaltTrading))
    halted = next(m for _, _, m in tape if isinstance(m, TradingStateChanged))
    assert halted.state is TradingState.HALTED
    assert "drill" in halted.reason or "SIGUSR1" in halted.reason
    assert not [m for seq, _, m in tape if seq > command_at and isinstance(m, OrderAccepted)]
    print(f"\n{way}: on the tape after {(asked.ts_init - began) / 1e6:.0f} ms")


@pytest.mark.req("RSK-09")
def test_a_stop_asked_for_while_nats_is_down_is_carried_out_when_it_is_back(home: Path) -> None:
    with System(home, *SPAN, "--speed", "15") as system:
        until(lambda: len(system.said(RiskStep)) > 5, "the run is under way")
        system.kill("nats", signal.SIGSTOP)
        answer = ballast(home, "halt", "--reason", "drill without nats", check=False)
        assert not answer["confirmed"]
        assert f"{STOP_FILE} waits for the guardian" in answer["how"]
        system.kill("nats", signal.SIGKILL)
        until(lambda: not (home / STOP_FILE).exists(), "the request is done", 20)
        (halt,) = (m for _, m in system.said(HaltTrading))
        assert isinstance(halt, HaltTrading)
        assert halt.reason.startswith("drill without nats")
        until(lambda: bool(system.said(TradingStateChanged)), "the guardian halts", 10)


def ask(way: str, home: Path, system: System) -> None:
    match way:
        case "file":
            ask_to_stop(home, "drill", flatten=False)
        case "signal":
            system.kill("risk_guardian", signal.SIGUSR1)
        case _:
            assert ballast(home, "halt", "--reason", "drill")["confirmed"]


def leading(home: Path, service: str) -> str:
    """The process that leads; the service's first instance while nobody says so."""
    processes = ballast(home, "status", check=False).get("processes", {})
    names = (service, f"{service}-2")
    return next((name for name in names if processes.get(name, {}).get("role") == "leader"), "")


def guardian_login(endpoints: Endpoints) -> Login:
    return endpoints.login("risk_guardian")


async def leases_taken(endpoints: Endpoints) -> list[LeaseTaken]:
    """In tape order."""
    tape = await NatsTape.connect(guardian_login(endpoints))
    first, *_ = await collect(tape, [pattern(LeaseTaken)], 1, 1)
    records = await collect(tape, [pattern(LeaseTaken)], 1, first.pending + 1)
    await tape.close()
    messages = [decode(decode_envelope(record.payload)) for record in records]
    return [message for message in messages if isinstance(message, LeaseTaken)]


def summary(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"{len(ordered)} times, median {statistics.median(ordered):.2f} s, longest {ordered[-1]:.2f} s"
