"""`ballast readiness` on the real system: all pass while everything works, and each check fails when its control is broken (MON-04)."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import msgspec
import pytest
from support.system import System as Running
from support.system import ballast, login, until
from tests.alerting.watchmen import alertmanager

from ballast_cli.readiness import checks
from ballast_cli.readiness.alerts import in_band, webhook
from ballast_cli.readiness.books import reconciliation
from ballast_cli.readiness.evidence import Evidence
from ballast_cli.readiness.failover import dead_mans_switch, failover
from ballast_cli.readiness.keeping import place, prove, take
from ballast_cli.readiness.machine import clock
from ballast_cli.readiness.permissions import permissions
from ballast_cli.readiness.run import run
from ballast_cli.readiness.services import dead_letters, healthy, market_moves, one_build
from ballast_cli.readiness.system import System
from ballast_cli.readiness.trading import halt, limit_breach
from common import messages as m
from common.messages.base import Message
from common.model.enums import TradingState
from common.runtime.embedded import Endpoints
from common.runtime.login import public_key
from common.runtime.nats_config import ADMIN, begin_new_tape_at
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.runtime.tape import Record
from common.testing.builders import T0, a

pytestmark = [pytest.mark.integration, pytest.mark.req("MON-04"), pytest.mark.timeout(400)]

SPEED: Final = ("--from", "2007-01-01", "--speed", "5")
# Limits that let everything pass, and a dead-man's switch that waits for an hour.
LAX: Final = """
[risk_guardian.limits]
price_collar = 1.0
max_order_notional = 1000
max_position = 1000
max_gross_exposure = 1000
max_net_exposure = 1000
max_leverage = 1000
max_currency = 0
max_strategy_type = 0
max_sector = 0
max_correlated = 0
max_var_95_1d = 0
max_es_95_1d = 0
max_stress_loss = 0
max_heat = 0
max_daily_loss = 0
max_drawdown = 0
require_var = false

# With these limits the ladder of VaR halts trading at slice 235, after 47 s: on a slow machine before its checks.
[risk_guardian.ladders]
drawdown = []
volatility = []
var = []
correlation = []
daily_loss = []

[execution]
cancel_after_silence_s = 3600
"""


@contextmanager
def started(prepared: Path, *arguments: str, config: str = "") -> Iterator[Running]:
    """A system of its own that trades the built-in prices."""
    home = Path(tempfile.mkdtemp(prefix="ballast-test-"))
    home.chmod(0o711)  # PostgreSQL's account goes through it when root runs the tests
    subprocess.run(["cp", "-a", f"{prepared}/.", home], check=True)
    (home / "own.toml").write_text(config)
    try:
        with Running(home, *SPEED, "--config", str(home / "own.toml"), *arguments) as running:
            until(lambda: len(running.said(m.ExecutionStep)) > 3, "steps are taken")
            until(lambda: System(home).all_lead(), "somebody leads")
            yield running
    finally:
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def live(prepared_home: Path) -> Iterator[Running]:
    """Every test leaves it as it was."""
    with started(prepared_home) as running:
        yield running


@pytest.fixture(scope="module")
def lax(prepared_home: Path) -> Iterator[Running]:
    """Its controls are off; the tests may leave it worse."""
    with started(prepared_home, config=LAX) as running:
        yield running


def failed(evidence: Evidence) -> str:
    """What was seen of it."""
    assert evidence.passed is False, evidence
    print(f"\n{evidence.saw}")
    return evidence.saw


def named(name: str) -> list[checks.Check]:
    return [check for check in checks.CHECKS if check.name == name]


def test_every_control_of_the_embedded_system_passes_and_the_system_is_left_as_it_was(
    live: Running, tmp_path: Path
) -> None:
    page = tmp_path / "readiness.html"
    result = ballast(live.home, "readiness", "--disruptive", "--report", str(page), timeout_s=240)
    for check in result["checks"]:
        print(f"\n{check['check']}: {check['saw']} ({check['took_s']} s, limit {check['limit']})", end="")
    assert {check["check"]: check["passed"] for check in result["checks"]} == {
        check.name: None if check.name == "webhook" else True for check in checks.CHECKS
    }
    assert (result["ok"], result["failed"], result["not_restored"], result["exit_code"]) == (True, 0, [], 0)
    assert "A silent guardian stops execution" in page.read_text()
    assert System(live.home).trading_state() is TradingState.ACTIVE


def test_what_disturbs_trading_is_left_out_unless_it_is_asked_for(live: Running) -> None:
    before, halts = System(live.home).status().processes, len(live.said(m.HaltTrading))
    result = ballast(live.home, "readiness", "--only", "halt", "--only", "failover")
    assert [check["passed"] for check in result["checks"]] == [None, None]
    assert all("--disruptive" in check["saw"] for check in result["checks"])
    assert System(live.home).status().processes == before
    assert len(live.said(m.HaltTrading)) == halts


# --- each check fails when its control is broken ----------------------------------------------------------------------------


def test_a_service_that_does_not_answer_is_not_ready(live: Running) -> None:
    system = System(live.home)
    with system.frozen("regime"):
        assert "regime" in failed(healthy(system))
    until(lambda: system.ready("regime"), "regime is back")


def test_a_market_that_stands_still_does_not_move(live: Running) -> None:
    system = System(live.home)
    with system.frozen("market_data"):
        assert "stale" in failed(market_moves(system))
    until(lambda: market_moves(system).passed is True, "the market moves again")


def test_a_clock_that_differs_is_told(live: Running) -> None:
    system = System(live.home)
    with ahead(by_s=5.0) as url:
        system.endpoints = msgspec.structs.replace(system.endpoints, nats_monitor_url=url)
        assert "NATS +" in failed(clock(system))


@pytest.mark.parametrize(
    "right",
    ["order.approved.v1.>", "heartbeat.risk_guardian", "$JS.API.STREAM.PURGE.TAPE", "$KV.leases.execution"],
)
def test_a_user_who_may_say_too_much_is_found(live: Running, right: str) -> None:
    system = System(live.home)
    begun = [each.seq for each in system.said(m.RunStarted)]
    with rights(live, "operator", [*allowed(live, "operator"), right]):
        assert right.rstrip(">") in failed(permissions(system))
    assert permissions(system).passed is True
    assert [each.seq for each in system.said(m.RunStarted)] == begun, "trying has altered nothing"
    assert dead_letters(system).passed is True


def test_an_alert_that_nobody_can_acknowledge_is_told_and_its_scope_released(live: Running) -> None:
    kept = [right for right in allowed(live, "operator") if "acknowledge" not in right]
    with rights(live, "operator", kept):
        result = run(System(live.home), named("alert"), disruptive=False)
    assert (result["ok"], result["failed"], result["not_restored"]) == (False, 1, [])


def test_an_alert_that_is_never_raised_is_told(live: Running) -> None:
    system = System(live.home)
    with system.frozen("risk_guardian"):
        assert "no alert" in failed(in_band(system))
    until(lambda: system.ready("risk_guardian") and system.all_lead(), "the guardian is back")


def test_a_halt_that_is_not_confirmed_fails_and_trading_goes_on_afterwards(live: Running) -> None:
    system = System(live.home)
    with system.frozen("risk_guardian"):
        assert "did not confirm" in failed(halt(system))
    asked = system.said(m.ResumeTrading)[-1].seq
    until(lambda: bool(system.said(m.RiskStep, after=asked)) and system.all_lead(), "the guardian is back")
    until(lambda: system.trading_state() is TradingState.ACTIVE, "trading goes on")


def test_where_trading_cannot_be_resumed_the_command_says_so_and_fails(live: Running) -> None:
    kept = [right for right in allowed(live, "operator") if "resume" not in right]
    with rights(live, "operator", kept):
        result = ballast(live.home, "readiness", "--disruptive", "--only", "resume", check=False)
    assert result["exit_code"] == 1
    assert result["failed"] == 1
    assert any("trading is HALTED, it was ACTIVE" in what for what in result["not_restored"])
    halted = ballast(live.home, "readiness", "--disruptive", "--only", "halt", "--only", "limit")
    assert [check["passed"] for check in halted["checks"]] == [None, None]  # a person has to resume it
    assert ballast(live.home, "resume", "--reason", "drill")["confirmed"]


def test_who_is_not_started_again_is_not_replaced(live: Running) -> None:
    system = System(live.home)
    supervisor = system.status().pid
    os.kill(supervisor, signal.SIGSTOP)
    try:
        assert "not ready again" in failed(failover(system))
    finally:
        os.kill(supervisor, signal.SIGCONT)
    until(lambda: healthy(system).passed is True, "all are back")


def test_a_backup_that_was_damaged_or_is_of_another_tape_does_not_prove_anything(live: Running, lax: Running) -> None:
    system = System(live.home)
    with place() as folder:
        path = take(system, folder)
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 0xFF
        path.write_bytes(content)
        assert "cannot be restored" in failed(prove(system, path, folder))
    with place() as folder:
        assert "differs" in failed(prove(system, take(System(lax.home), folder), folder))


def test_with_a_standby_it_leads_and_where_it_is_frozen_nobody_does(prepared_home: Path) -> None:
    with started(prepared_home, "--standby") as running:
        system = System(running.home)
        until(lambda: all(system.ready(name) for name in system.services()), "standbys are ready")
        evidence = failover(system)
        assert evidence.passed is True, evidence
        print(f"\n{evidence.saw}")
        leader = system.leader("risk_guardian")
        (other,) = (name for name in system.instances("risk_guardian") if name != leader)
        with system.frozen(other):
            assert f"{other} does not lead" in failed(failover(system))


def test_a_limit_that_is_off_lets_the_order_through_and_it_is_canceled(lax: Running) -> None:
    system = System(lax.home)
    # An approval goes stale where a step comes before execution sees it; not every time.
    assert any("OrderSubmitted" in failed(limit_breach(system)) for _ in range(5))
    result = run(system, named("limit"), disruptive=False)
    assert (result["failed"], result["not_restored"]) == (1, [])


def test_a_dead_mans_switch_that_waits_too_long_fails(lax: Running) -> None:
    """And an order that execution sends all the same, put on the tape in its name."""
    order = a(m.OrderSubmitted)
    order = msgspec.structs.replace(order, order=msgspec.structs.replace(order.order, reduce_only=False))
    thread = threading.Timer(10.0, lambda: say(lax.home, "execution", order))
    thread.start()
    saw = failed(dead_mans_switch(System(lax.home)))
    thread.join()
    assert "did not say so; 1 orders sent after 5 s" in saw


def test_an_order_that_is_sent_after_a_halt_is_seen(lax: Running) -> None:
    """By an execution that does not obey: what it would say is put on the tape in its name."""
    system = System(lax.home)
    before = system.end()

    def disobey() -> None:
        until(lambda: bool(system.said(m.TradingStateChanged, after=before)), "it is halted", 20)
        say(lax.home, "execution", a(m.OrderSubmitted))

    thread = threading.Thread(target=disobey)
    thread.start()
    assert "1 orders sent afterwards" in failed(halt(system))
    thread.join()
    assert system.trading_state() is TradingState.ACTIVE


def test_a_fill_that_is_not_recorded_is_missed(lax: Running) -> None:
    system = System(lax.home)
    until(lambda: bool(system.said(m.OrderFilled)), "orders are filled")
    assert reconciliation(system).passed is True
    first = system.said(m.OrderFilled)[0].seq
    asyncio.run(forget(system.endpoints, first))
    assert f"the first at {first}" in failed(reconciliation(system))


def test_a_dead_letter_is_found(lax: Running) -> None:
    assert dead_letters(System(lax.home)).passed is True

    async def plant() -> None:
        tape = await NatsTape.connect(login(lax.home, "recorder"))
        await tape.dead_letter("recorder", Record(1, b"?", 0), "a test")
        await tape.close()

    asyncio.run(plant())
    assert failed(dead_letters(System(lax.home))) == "1"


def test_a_service_of_another_build_is_found(lax: Running) -> None:
    assert one_build(System(lax.home)).passed is True
    say(lax.home, "regime", m.ServiceStarted(ts_event=T0, service="regime", instance="1", build="0.0.9", contracts="x"))
    assert "regime said it is build 0.0.9" in failed(one_build(System(lax.home)))


@pytest.mark.parametrize(
    ("done", "slice_s", "good"),
    [((0, 10), 10, True), ((1, 10), 10, False), ((0, 10), 1000, False), (None, 10, False)],
    ids=["compared", "a break", "long ago", "never"],
)
def test_a_comparison_with_a_venue_is_recent_and_without_breaks(
    servers: Endpoints, tmp_path: Path, done: tuple[int, int] | None, slice_s: int, good: bool
) -> None:
    asyncio.run(begin_new_tape_at(servers.login(ADMIN)))
    system = System(tmp_path)
    system.endpoints, system.config = servers, {"execution": {"venue": "reference"}}
    asyncio.run(append(servers, "market_data", a(m.MarketSlice, ts_event=T0 + slice_s * 10**9, bars=(), quotes=())))
    if done is not None:
        breaks, at_s = done
        said = m.Reconciled(ts_event=T0 + at_s * 10**9, book="fx", number=1, open_breaks=breaks)
        asyncio.run(append(servers, "execution", said))
    evidence = reconciliation(system)
    assert evidence.passed is good, evidence


@pytest.mark.skipif(alertmanager() is None, reason="needs alertmanager (Debian: prometheus-alertmanager)")
def test_an_alert_reaches_the_webhook_unless_alertmanager_tells_somebody_else(tmp_path: Path) -> None:
    port, other = free_port(), free_port()
    with alerting(tmp_path / "right", port) as url:
        evidence = webhook(System(tmp_path, alertmanager=url, webhook=("127.0.0.1", port)))
        assert evidence.passed is True, evidence
        print(f"\n{evidence.saw}")
    assert "does not answer" in failed(webhook(System(tmp_path, alertmanager=url, webhook=("127.0.0.1", port))))
    with alerting(tmp_path / "wrong", other) as url:
        assert "nothing arrived" in failed(webhook(System(tmp_path, alertmanager=url, webhook=("127.0.0.1", port))))


# --- how to break things ----------------------------------------------------------------------------------------------------


def allowed(running: Running, user: str) -> list[str]:
    """What NATS lets the user publish."""
    return list(_permissions(running, user)["publish"]["allow"])


@contextmanager
def rights(running: Running, user: str, publish: list[str]) -> Iterator[None]:
    """NATS runs with other rights meanwhile."""
    path = running.home / "nats" / "nats.conf"
    before = path.read_bytes()
    config = json.loads(before)
    place_of = [each["permissions"] for each in config["authorization"]["users"]][_place(config, running, user)]
    place_of["publish"]["allow"] = publish
    try:
        path.write_text(json.dumps(config))
        _reload(running)
        yield
    finally:
        path.write_bytes(before)
        _reload(running)


def _permissions(running: Running, user: str) -> dict[str, Any]:
    config = json.loads((running.home / "nats" / "nats.conf").read_bytes())
    found: dict[str, Any] = config["authorization"]["users"][_place(config, running, user)]["permissions"]
    return found


def _place(config: dict[str, Any], running: Running, user: str) -> int:
    key = public_key(login(running.home, user).seed)
    return [each["nkey"] for each in config["authorization"]["users"]].index(key)


def _reload(running: Running) -> None:
    log = running.home / "logs" / "nats.log"
    before = log.read_text().count("Reloaded server configuration")
    running.kill("nats", signal.SIGHUP)
    until(lambda: log.read_text().count("Reloaded server configuration") > before, "NATS has read its configuration")


@contextmanager
def ahead(by_s: float) -> Iterator[str]:
    """What NATS says of its time, from a server whose clock is wrong."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            now = time.time() + by_s
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e9):09d}Z"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"now": text}).encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def alerting(folder: Path, port: int) -> Iterator[str]:
    """An Alertmanager that tells a webhook on loopback."""
    folder.mkdir()
    config = folder / "alertmanager.yml"
    config.write_text(
        "route: {receiver: hook, group_wait: 1s}\n"
        f"receivers: [{{name: hook, webhook_configs: [{{url: 'http://127.0.0.1:{port}/'}}]}}]\n"
    )
    at = f"127.0.0.1:{free_port()}"
    binary = alertmanager()
    assert binary is not None
    arguments = [f"--config.file={config}", f"--storage.path={folder}", f"--web.listen-address={at}"]
    process = subprocess.Popen(
        [binary, *arguments, "--cluster.listen-address="], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: _answers(f"http://{at}/-/ready"), "Alertmanager is ready")
        yield f"http://{at}"
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(url, timeout=1.0, trust_env=False).status_code == 200
    return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def say(home: Path, user: str, message: Message) -> None:
    asyncio.run(append(Endpoints.load(home), user, message))


async def append(endpoints: Endpoints, user: str, message: Message) -> None:
    tape = await NatsTape.connect(endpoints.login(user))
    try:
        identity = f"test:{message.TYPE}:{time.time_ns()}"
        await tape.append(subject(message), envelope(user, message, identity, cause=None))
        await tape.flush()
    finally:
        await tape.close()


async def forget(endpoints: Endpoints, seq: int) -> None:
    connection = await asyncpg.connect(endpoints.postgres_dsn_with_password())
    try:
        assert await connection.execute("DELETE FROM fills WHERE seq = $1", seq) == "DELETE 1"
    finally:
        await connection.close()
