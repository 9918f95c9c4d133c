"""docker-compose.yml as it is: healthy, watched, shut off, and trading on over whatever dies, to the digest of the backtest."""

from __future__ import annotations

import os
import runpy
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
from support.compose import STANDBYS, Compose
from support.docker_engine import Engine
from support.docker_images import OURS
from support.system import ballast

from ballast_cli.configuration import effective
from common.messages import MarketDataEnded, RiskStep
from research.summary import Summary

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]
SPAN = ("2015-01-01", "2016-10-01")
SPEED = "5"
# How long execution trusts silence is not what is proved here, and a busy machine starts containers slowly.
PATIENT = "[execution]\nguardian_timeout_s = 60\nintent_timeout_s = 60\ncancel_after_silence_s = 240\n"
LEASED = ("risk_guardian", "risk_guardian_standby")


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "patient.toml"
    path.write_text(PATIENT)
    return path


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, patient: Path) -> dict[str, object]:
    """What a backtest of the same span says."""
    span = ("--from", SPAN[0], "--to", SPAN[1], "--config", str(patient))
    return ballast(tmp_path_factory.mktemp("backtest"), "backtest", *span)


@pytest.fixture(scope="module")
def system(
    engine: Engine, project: Path, images: object, servers: object, patient: Path, expected: object
) -> Iterator[Compose]:
    config = effective("fx", override=patient, start=SPAN[0], end=SPAN[1], speed=SPEED)
    config["gateway"] = {**config["gateway"], "hosts": ["gateway"]}
    with Compose(engine, project, config) as running:
        print(f"\nup to healthy: {running.healthy_after_s:.1f} s")
        yield running


@pytest.mark.req("PLT-01", "PLT-05", "PLT-09", "RES-01")
def test_containers_die_and_are_cut_off_and_the_run_has_the_digest_of_the_backtest(
    system: Compose, expected: dict[str, object]
) -> None:
    system.until(lambda: step(system) > 5, "the run is under way")

    leader, standby = sorted(LEASED, key=lambda name: system.role(name) != "leader")
    assert system.role(standby) == "standby"
    system.engine.docker("kill", system.name(leader))
    took = system.until(lambda: system.role(standby) == "leader", "the standby leads")
    print(f"\ndocker kill {leader}: {standby} leads after {took:.1f} s")
    system.engine.docker("start", system.name(leader))
    took = system.until(lambda: system.role(leader) == "standby", "the one killed stands by")
    print(f"docker start {leader}: stands by after {took:.1f} s")

    for service in ("portfolio", "market_data", "execution", "nats"):
        pid = system.crash(service)
        took = system.until(lambda: restarted(system, service, pid), f"{service} is back")  # noqa: B023
        took += going_on(system)
        print(f"kill -9 {service}: back and the next step closed after {took:.1f} s")

    network, victim = "ballasttest_inside", system.name("signals")
    system.engine.docker("network", "disconnect", network, victim)
    system.until(lambda: cut_off(system, "signals"), "signals says that it is not ready")
    time.sleep(3)
    system.engine.docker("network", "connect", network, victim)
    took = system.until(lambda: system.ready("signals"), "signals is ready again") + going_on(system)
    print(f"docker network disconnect, connect signals: the next step closed after {took:.1f} s")

    assert system.last(MarketDataEnded) is None, "the data was over before all was done to it"
    result = to_the_end(system)
    print(f"digest {result['digest']}, {result['orders']}")
    same = ("bars", "steps", "signals", "orders", "equity", "max_drawdown", "halts", "digest")
    assert {key: result[key] for key in same} == {key: expected[key] for key in same}


@pytest.mark.req("PLT-05", "PLT-06", "MON-01")
def test_prometheus_scrapes_every_service_standby_and_itself(system: Compose) -> None:
    def down() -> dict[str, str]:
        targets = system.get("PROMETHEUS", "/api/v1/targets?state=active")["data"]["activeTargets"]
        found.update({target["labels"]["instance"]: target["labels"].get("service", "") for target in targets})
        return {target["scrapeUrl"]: target["lastError"] for target in targets if target["health"] != "up"}

    found: dict[str, str] = {}
    system.until(lambda: not down(), "every target is up", 30)
    ours = {instance.split(":")[0]: service for instance, service in found.items() if instance.endswith(":8080")}
    assert set(ours) == {*OURS, *STANDBYS}
    assert ours["execution_standby"] == "execution"
    rules = system.get("PROMETHEUS", "/api/v1/rules")["data"]["groups"]
    assert rules
    assert [rule["lastError"] for group in rules for rule in group["rules"] if rule["health"] == "err"] == []
    managers = system.get("PROMETHEUS", "/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    assert [manager["url"] for manager in managers] == ["http://alertmanager:9093/api/v2/alerts"]
    print(f"\nPrometheus: {len(found)} targets up, {sum(len(group['rules']) for group in rules)} rules evaluated")


@pytest.mark.req("PLT-05")
def test_a_service_reaches_only_what_it_has_a_network_for(system: Compose) -> None:
    postgres, nats = system.address("postgres", "data"), system.address("nats", "inside")

    assert reaches(system, "recorder", postgres, 5432)
    assert reaches(system, "signals", nats, 4222)
    assert not reaches(system, "signals", postgres, 5432)
    assert not reaches(system, "risk_guardian", system.address("redis", "data"), 6379)
    networks = {name: set(system.container(name)["NetworkSettings"]["Networks"]) for name in ("prometheus", "signals")}
    assert networks["prometheus"] == {"ballasttest_watch", "ballasttest_edge"}
    assert networks["signals"] == {"ballasttest_inside", "ballasttest_watch"}


@pytest.mark.req("PLT-05", "PLT-06")
def test_containers_run_as_hardened_as_the_file_says(system: Compose) -> None:
    for service in (*OURS, *STANDBYS):
        container = system.container(service)
        host = container["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False), service
        assert host["Memory"] > 0, service
        assert container["Config"]["User"] == "10001:10001", service
        assert not [entry for entry in container["Config"]["Env"] if "PASSWORD=" in entry or "SEED=" in entry], service
    assert system.get("GATEWAY", "/health/ready")["ready"] is True


def test_make_up_waits_for_whoever_is_not_healthy(system: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(system.env) - set(os.environ) | {"DOCKER_HOST"}:
        monkeypatch.setenv(name, system.env[name])
    up = runpy.run_path(str(system.folder / "deploy/up.py"))
    compose = ("docker-compose",)

    system.until(lambda: up["waits_for"](compose) == {}, "all is healthy")
    system.engine.docker("stop", "--time", "1", system.name("alertmanager"))
    assert set(up["waits_for"](compose)) == {"alertmanager"}
    system.engine.docker("start", system.name("alertmanager"))
    system.until(lambda: up["waits_for"](compose) == {}, "all is healthy again")


def step(system: Compose) -> int:
    """The last one that the guardian has closed."""
    last = system.last(RiskStep)
    return last.step if last else 0


def going_on(system: Compose) -> float:
    """How long it took until one more step was closed (s)."""
    before = step(system)
    return system.until(lambda: step(system) > before, "the next step is closed", 90)


def restarted(system: Compose, service: str, pid: int) -> bool:
    state = system.container(service)["State"]
    if not state["Running"] or state["Pid"] in {0, pid}:
        return False
    return service == "nats" or system.ready(service)


def cut_off(system: Compose, service: str) -> bool:
    """Whether it says itself that it is not ready; one that cannot be asked says nothing."""
    try:
        return not system.ready(service)
    except HTTPError as error:
        return error.code == 503


def reaches(system: Compose, service: str, address: str, port: int) -> bool:
    code = f"import socket; socket.create_connection(({address!r}, {port}), 2)"
    return system.engine.docker("exec", system.name(service), "python", "-c", code, check=False).returncode == 0


def summary(system: Compose) -> Summary:
    folded = Summary()
    for message in system.tape():
        folded.see(message)
    return folded


def to_the_end(system: Compose) -> dict[str, object]:
    system.until(lambda: system.last(MarketDataEnded) is not None, "the data is over", 300)
    system.until(lambda: summary(system).complete, "every order is answered")
    return summary(system).result()
