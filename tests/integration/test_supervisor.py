"""The supervisor with real servers and small stand-in processes: start, restart, stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nats
import pytest

from common.errors import BallastError, ConfigError
from common.runtime import subjects
from common.runtime.embedded import ProcessSpec
from common.runtime.environment import Environment
from common.runtime.login import Login
from common.runtime.supervisor import ProcessStatus, Status, Supervisor, memory_pss, stop_running
from common.runtime.supervisor.child import LONGEST_DELAY_S, restart_delay_s

SERVERS = ["nats", "redis", "postgres"]
SLEEPS = "import time; time.sleep(600)"

pytestmark = [pytest.mark.integration, pytest.mark.req("PLT-04")]


def service(name: str, code: str = SLEEPS) -> ProcessSpec:
    return ProcessSpec(name=name, argv=(sys.executable, "-c", code))


def config(home: Path) -> Path:
    path = home / "config.json"
    path.write_text("{}")
    return path


async def eventually(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 processes set no events
        await asyncio.sleep(0.005)


async def test_servers_streams_and_services_are_there_and_gone_after(home: Path) -> None:
    async with Supervisor(home, [service("regime"), service("signals")], config(home)) as supervisor:
        status = Status.load(home)
        assert status
        assert status.pid == os.getpid()
        assert list(status.processes) == [*SERVERS, "regime", "signals"]
        assert {process.restarts for process in status.processes.values()} == {0}
        client = await nats.connect(
            supervisor.endpoints.nats_url,
            **supervisor.endpoints.login("regime").options(),
        )
        assert (await client.jetstream().stream_info(subjects.STREAM)).state.messages == 0
        await client.close()
    assert Status.load(home) is None
    assert not [pid for pid in pids(status) if _lives(pid)]


@pytest.mark.parametrize("name", [*SERVERS, "regime"])
async def test_whatever_is_killed_is_started_again_and_counted(home: Path, name: str) -> None:
    def now() -> ProcessStatus:
        status = Status.load(home)
        assert status
        return status.processes[name]

    async with Supervisor(home, [service("regime")], config(home)):
        before = now()
        os.kill(before.pid, signal.SIGKILL)
        await eventually(lambda: now().restarts == 1)
        assert now().pid != before.pid
        assert now().last_exit == -signal.SIGKILL


def test_the_first_restart_is_at_once_and_later_ones_wait_longer_and_longer() -> None:
    delays = [restart_delay_s(quick_deaths) for quick_deaths in range(10)]
    assert delays[:4] == [0.0, 0.1, 0.2, 0.4]
    assert delays == sorted(delays)
    assert delays[-1] == LONGEST_DELAY_S


async def test_a_service_is_told_where_everything_is(home: Path) -> None:
    tells = "import os, json; print(json.dumps(dict(os.environ)), flush=True); import time; time.sleep(600)"
    async with Supervisor(home, [service("regime", tells)], config(home)) as supervisor:
        log = home / "logs/regime.log"
        await eventually(lambda: log.exists() and log.read_text().endswith("\n"))
        told = Environment.from_os(json.loads(log.read_text()))
        endpoints = supervisor.endpoints
        assert (told.home, told.service, told.nats_user) == (home, "regime", "regime")
        assert told.nats_url == endpoints.nats_url
        assert Login.of(told) == endpoints.login("regime")
        assert told.redis_url() == endpoints.redis_url_with_password()
        assert told.postgres_dsn() == endpoints.postgres_dsn_with_password()
        assert told.http_port == supervisor.status.processes["regime"].http_port
        assert told.config.read_text() == "{}"
        assert Login.of(told).seed not in log.read_text()


async def test_a_service_that_refuses_its_configuration_ends_everything_with_its_own_words(home: Path) -> None:
    refuses = (
        'import sys; print(\'{"event":"configuration","error":"regime.period = 0: expected int >= 1"}\'); sys.exit(78)'
    )
    supervisor = Supervisor(home, [service("signals"), service("regime", refuses)], config(home))
    with pytest.raises(ConfigError, match=r"^regime: regime\.period = 0: expected int >= 1$"):
        await supervisor.run()
    assert Status.load(home) is None


async def test_an_unknown_service_is_refused_before_anything_stays_behind(home: Path) -> None:
    with pytest.raises(ConfigError, match="astrology: no such service; expected one of market_data"):
        await Supervisor(home, [service("astrology")], config(home)).run()
    assert Status.load(home) is None


@pytest.mark.req("PLT-12")
async def test_a_second_instance_of_a_leased_service_is_told_which_it_is(home: Path) -> None:
    tells = "import os; print(*(os.environ['BALLAST_' + x] for x in ('SERVICE', 'INSTANCE', 'NATS_USER')), flush=True)"
    names = ["execution", "execution-2"]
    specs = [service(name, f"{tells}; {SLEEPS}") for name in names]
    logs = [home / f"logs/{name}.log" for name in names]
    async with Supervisor(home, specs, config(home)) as supervisor:
        await eventually(lambda: all(log.exists() and log.read_text().endswith("\n") for log in logs))
        processes = supervisor.status.processes
        assert processes["execution"].http_port != processes["execution-2"].http_port
    assert [log.read_text() for log in logs] == ["execution 1 execution\n", "execution 2 execution\n"]


@pytest.mark.req("PLT-12")
async def test_a_service_without_a_lease_has_no_second_instance(home: Path) -> None:
    with pytest.raises(ConfigError, match="regime-2: only risk_guardian and execution can have a standby"):
        await Supervisor(home, [service("regime-2")], config(home)).run()
    assert Status.load(home) is None


async def test_the_servers_are_still_there_while_services_stop(home: Path) -> None:
    code = (
        "import os, signal, socket, sys, time\n"
        "def stop(*_):\n"
        "    time.sleep(0.2)\n"
        "    socket.create_connection(('127.0.0.1', int(os.environ['BALLAST_NATS_URL'].rpartition(':')[2])))\n"
        "    print('stopped', flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop); print('up', flush=True)\n"
        "time.sleep(600)\n"
    )
    names = ["regime", "signals"]
    logs = [home / f"logs/{name}.log" for name in names]
    async with Supervisor(home, [service(name, code) for name in names], config(home)):
        await eventually(lambda: all(log.exists() and log.read_text() == "up\n" for log in logs))
    assert [log.read_text() for log in logs] == ["up\nstopped\n"] * len(names)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_or_a_request_from_outside_stops_everything_cleanly(home: Path, number: signal.Signals) -> None:
    with running(home) as process:
        status = Status.load(home)
        assert status
        with pytest.raises(BallastError, match=f"already running as process {process.pid};"):
            asyncio.run(Supervisor(home, [], config(home)).run())
        if number is signal.SIGINT:
            process.send_signal(number)
            assert process.wait() == 0
        else:
            assert stop_running(home)
            assert not stop_running(home)
    assert Status.load(home) is None
    assert not [pid for pid in pids(status) if _lives(pid)]


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_nothing_outlives_a_killed_supervisor_and_the_next_one_starts(home: Path) -> None:
    with running(home) as process:
        status = Status.load(home)
        process.kill()
    assert status
    assert Status.load(home) is None
    with running(home):
        assert not [pid for pid in pids(status) if _lives(pid)]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/<pid>/smaps_rollup")
async def test_memory_counts_every_process_with_its_children(home: Path) -> None:
    async with Supervisor(home, [service("regime")], config(home)) as supervisor:
        sizes = memory_pss({name: process.pid for name, process in supervisor.status.processes.items()})
        assert list(sizes) == [*SERVERS, "regime"]
        assert all(2**20 < size < 2**28 for size in sizes.values())
    assert memory_pss({"gone": 2**22 - 1}) == {}


RUN = """
import asyncio, pathlib, sys
from common.runtime.embedded import ProcessSpec
from common.runtime.supervisor import Supervisor
root = pathlib.Path(sys.argv[1])
services = [ProcessSpec(name=name, argv=(sys.executable, "-c", sys.argv[2])) for name in ("regime", "signals")]
async def main():
    async with Supervisor(root, services, pathlib.Path(sys.argv[3])) as supervisor:
        print("up", flush=True)
        await supervisor.wait()
asyncio.run(main())
"""


@contextmanager
def running(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A supervisor in a process of its own, up."""
    argv = [sys.executable, "-c", RUN, str(home), SLEEPS, str(config(home))]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "up\n"
            yield process
        finally:
            process.terminate()


def pids(status: Status) -> list[int]:
    return [process.pid for process in status.processes.values()]


def _lives(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
