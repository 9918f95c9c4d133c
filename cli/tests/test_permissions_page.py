"""The table of connections against what the code, docker-compose.yml and the rendered policies do with it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.contracts import INPUTS
from common.runtime.connections import CONNECTIONS, OUTSIDE, PEOPLE, SERVICES

ROOT = Path(__file__).parents[2]
POLICIES = list(yaml.safe_load_all((ROOT / "deploy/k8s/components/network-policies/policies.yaml").read_text()))
BY_NAME: dict[str, dict[str, Any]] = {one["metadata"]["name"]: one["spec"] for one in POLICIES}

pytestmark = pytest.mark.req("PLT-04", "PLT-05")


def clients_of(server: str) -> set[str]:
    return {one.client for one in CONNECTIONS if one.server == server}


def permissions(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools/permissions.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_page_and_the_policies_are_what_the_code_says() -> None:
    done = permissions("--check")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("server", "reads"), [("redis", r"\.redis_url\(\)"), ("postgres", r"\.postgres_dsn\(\)")])
def test_who_reads_a_servers_address_may_connect_to_it(server: str, reads: str) -> None:
    readers = {
        service
        for service in SERVICES
        for path in (ROOT / f"services/{service}/src").rglob("*.py")
        if re.search(reads, path.read_text())
    }
    assert readers == clients_of(server)


def test_docker_compose_lets_those_meet_who_connect_and_keeps_the_data_from_the_others() -> None:
    stanzas = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    networks = {name: set(stanza["networks"]) for name, stanza in stanzas.items()}
    for one in CONNECTIONS:
        if not {one.client, one.server} & {PEOPLE, OUTSIDE}:
            assert networks[one.client] & networks[one.server], f"{one.client} cannot reach {one.server}"
    for server in ("redis", "postgres"):
        near = {name for name in SERVICES if networks[name] & networks[server]}
        assert near <= clients_of("redis") | clients_of("postgres")


def test_nothing_is_allowed_that_nobody_names() -> None:
    assert BY_NAME["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert set(BY_NAME) >= {name.replace("_", "-") for name in SERVICES}
    assert set(SERVICES) == set(INPUTS) - {"operator"}
    everywhere = {name for name, spec in BY_NAME.items() if not spec["podSelector"]}
    assert everywhere == {"default-deny", "dns"}
    peers = [
        (name, peer)
        for name, spec in BY_NAME.items()
        for side, way in (("from", "ingress"), ("to", "egress"))
        for rule in spec.get(way, [])
        for peer in rule[side]
    ]
    assert all(
        rule["ports"] for spec in BY_NAME.values() for way in ("ingress", "egress") for rule in spec.get(way, [])
    )
    assert {name for name, peer in peers if "podSelector" not in peer} == {"dns", "alertmanager"}


def test_a_trading_service_reaches_its_servers_and_nothing_else() -> None:
    egress = {
        name: sorted(
            f"{peer['podSelector']['matchLabels']['app.kubernetes.io/name']}:{rule['ports'][0]['port']}"
            for rule in BY_NAME[name.replace("_", "-")]["egress"]
            for peer in rule["to"]
        )
        for name in SERVICES
    }
    only_the_tape = {key: ["nats:4222"] for key in ("market_data", "regime", "signals", "portfolio", "risk_guardian")}
    assert egress == only_the_tape | {
        "execution": ["nats:4222", "postgres:5432"],
        "recorder": ["nats:4222", "postgres:5432", "redis:6379"],
        "gateway": ["nats:4222", "postgres:5432", "redis:6379"],
    }
