"""docker-compose.yml and what `make secrets` writes for it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from ballast_cli.configuration import SECTIONS, effective
from common.runtime import http, nats_config
from common.runtime.login import public_key
from common.runtime.settings import section

ROOT = Path(__file__).parents[2]
Services = dict[str, dict[str, Any]]


def _load(script: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(script).stem, ROOT / script)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


containers = _load("tools/containers.py")

FAULTS: dict[str, tuple[Callable[[Services], object], str]] = {
    "a service is missing": (lambda s: s.pop("regime"), "regime is missing"),
    "a standby is missing": (lambda s: s.pop("execution_standby"), "execution has a lease"),
    "a writable root": (lambda s: s["nats"].update(read_only=False), "nats lacks read_only: true"),
    "a capability": (lambda s: s["redis"].update(cap_drop=["NET_RAW"]), "redis lacks cap_drop: [ALL]"),
    "root": (lambda s: s["gateway"].update(user="0:0"), "gateway lacks a user that is not root"),
    "no limit": (lambda s: s["grafana"].pop("mem_limit"), "grafana lacks a memory limit"),
    "no healthcheck": (lambda s: s["postgres"].pop("healthcheck"), "postgres lacks a healthcheck"),
    "an image without a version": (lambda s: s["grafana"].update(image="grafana/grafana"), "an image with a version"),
    "a secret not granted": (lambda s: s["recorder"]["secrets"].remove("redis_url"), "a grant for every secret"),
    "a port for everybody": (lambda s: s["gateway"].update(ports=["8000:8080"]), "ports on 127.0.0.1 only"),
    "another's name": (lambda s: s["regime"]["environment"].update(BALLAST_NATS_USER="execution"), "log in to NATS as"),
    "two of one name": (
        lambda s: s["risk_guardian_standby"]["environment"].pop("BALLAST_INSTANCE"),
        "needs a BALLAST_INSTANCE of its own",
    ),
    "another's image": (
        lambda s: s["execution_standby"].update(image="ballast/regime"),
        "must run the image ballast/execution",
    ),
    "a network too many": (
        lambda s: s["prometheus"]["networks"].append("data"),
        "prometheus has no business on the network data",
    ),
    "no network of its own": (lambda s: s["jaeger"].pop("networks"), "jaeger has no business on the network default"),
}


def make_secrets(folder: Path, profile: str = "fx") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "deploy/make_secrets.py", profile, folder], capture_output=True, text=True, check=False
    )


@pytest.fixture
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture
def prometheus() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("deploy") / "secrets"
    assert make_secrets(path).returncode == 0
    return path


@pytest.mark.req("PLT-05")
def test_every_secret_of_docker_compose_is_made(folder: Path, compose: dict[str, Any]) -> None:
    mounted = {Path(secret["file"]).name for secret in compose["secrets"].values()}

    assert mounted <= {path.name for path in folder.iterdir()}
    assert all(path.stat().st_mode & 0o777 == 0o444 for path in folder.iterdir())
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.req("PLT-05")
def test_the_services_of_docker_compose_get_the_effective_configuration(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())

    for name, kind in SECTIONS.items():
        assert section(config, name, kind)
    assert config["run"] == {**effective("fx")["run"], "speed": "5"}
    assert config["gateway"]["hosts"] == ["gateway"]  # or Prometheus is refused


@pytest.mark.req("PLT-05")
def test_secrets_are_long_differ_and_stay_what_they_are(folder: Path) -> None:
    passwords = [f"{name}_password" for name in ("redis", "postgres", "gateway", "grafana")]
    names = [*(f"nats_{user}" for user in nats_config.USERS), *passwords]
    before = {name: (folder / name).read_text() for name in names}

    assert len(set(before.values())) == len(names)
    assert all(len(password) >= 32 for password in before.values())
    assert make_secrets(folder, "crypto").returncode == 0
    assert {name: (folder / name).read_text() for name in names} == before
    assert json.loads((folder / "config.json").read_text())["run"]["profile"] == "crypto"
    conf = (folder / "nats.conf").read_text()
    known = [user["nkey"] for user in json.loads(conf)["authorization"]["users"]]
    assert known == [public_key(before[f"nats_{user}"]) for user in nats_config.USERS]
    assert not [name for name in names if before[name] in conf]  # the server knows no secret
    make_secrets(folder)


def test_the_url_of_the_webhook_is_the_users_and_stays(folder: Path) -> None:
    webhook = folder / "alert_webhook_url"
    assert webhook.read_text() == ""
    webhook.chmod(0o644)
    webhook.write_text("https://alerts.example/hook")
    make_secrets(folder)

    assert webhook.read_text() == "https://alerts.example/hook"


def test_a_profile_that_does_not_exist_makes_nothing(tmp_path: Path) -> None:
    done = make_secrets(tmp_path / "secrets", "forex")

    assert done.returncode == 1
    assert done.stderr.startswith("profile: 'forex' does not exist; expected one of")
    assert not (tmp_path / "secrets").exists()


@pytest.mark.req("PLT-05")
def test_the_files_agree_with_one_another_and_with_the_code(
    compose: dict[str, Any], prometheus: dict[str, Any]
) -> None:
    assert list(containers.complaints(compose, prometheus)) == []


@pytest.mark.req("PLT-05")
@pytest.mark.parametrize("fault", FAULTS)
def test_every_check_finds_its_fault(fault: str, compose: dict[str, Any], prometheus: dict[str, Any]) -> None:
    plant, complaint = FAULTS[fault]
    plant(compose["services"])

    found = list(containers.complaints(compose, prometheus))
    assert [line for line in found if complaint in line], found


@pytest.mark.req("PLT-05")
def test_a_network_that_leads_outside_and_a_service_not_scraped_are_found(
    compose: dict[str, Any], prometheus: dict[str, Any]
) -> None:
    compose["networks"]["inside"] = {}
    prometheus["scrape_configs"][0]["static_configs"][0]["targets"] = ["stranger:8080"]

    found = list(containers.complaints(compose, prometheus))
    assert "docker-compose.yml: the network inside must be internal" in found
    assert [line for line in found if "market_data is scraped but not ours, or ours but not scraped" in line]
    assert [line for line in found if "stranger" in line]


@pytest.mark.req("PLT-05")
def test_make_up_names_what_is_not_healthy_and_how_it_ended() -> None:
    trouble = _load("deploy/up.py")._trouble
    always = "unless-stopped"

    assert trouble({"Status": "running", "Health": {"Status": "healthy"}}, always) == ""
    assert trouble({"Status": "running"}, always) == ""  # nothing in the image could ask
    assert trouble({"Status": "running", "Health": {"Status": "unhealthy"}}, always) == "unhealthy"
    assert trouble({"Status": "exited", "ExitCode": 0}, "on-failure") == ""  # provision
    assert trouble({"Status": "exited", "ExitCode": 0}, always) == "exited, exit code 0"
    assert trouble({"Status": "exited", "ExitCode": 78}, "on-failure") == "exited, exit code 78"
    assert trouble({"Status": "restarting", "ExitCode": 70}, always) == "restarting, exit code 70"


@pytest.mark.req("PLT-06")
@pytest.mark.parametrize(("ready", "code"), [(True, 0), (False, 1)])
def test_the_healthcheck_of_an_image_says_what_the_service_says(ready: bool, code: int) -> None:
    health = http.Health("regime", "test", waits_for={} if ready else {"tape": "connecting"})
    stop = http.serve(health, "127.0.0.1", 0)
    try:
        assert _asked(health.info["port"]) == code
    finally:
        stop()
    assert _asked(health.info["port"]) == 1  # nobody answers


def _asked(port: int) -> int:
    command = [sys.executable, "-I", "-S", ROOT / "deploy/image/healthy.py"]
    return subprocess.run(command, env={"BALLAST_HTTP_PORT": str(port)}, capture_output=True, check=False).returncode
