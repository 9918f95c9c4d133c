"""docker-compose.yml and what `make secrets` writes for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ballast_cli.configuration import SECTIONS, effective
from common.runtime import nats_config
from common.runtime.settings import section

ROOT = Path(__file__).parents[2]


def make_secrets(folder: Path, profile: str = "fx") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "deploy/make_secrets.py", profile, folder], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("deploy") / "secrets"
    assert make_secrets(path).returncode == 0
    return path


@pytest.mark.req("PLT-05")
def test_every_secret_of_docker_compose_is_made(folder: Path) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
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
def test_passwords_are_long_differ_and_stay_what_they_are(folder: Path) -> None:
    names = [*(f"nats_{user}" for user in nats_config.USERS), "redis_password", "postgres_password", "gateway_password"]
    before = {name: (folder / name).read_text() for name in names}

    assert len(set(before.values())) == len(names)
    assert all(len(password) >= 32 for password in before.values())
    assert make_secrets(folder, "crypto").returncode == 0
    assert {name: (folder / name).read_text() for name in names} == before
    assert json.loads((folder / "config.json").read_text())["run"]["profile"] == "crypto"
    users = json.loads((folder / "nats.conf").read_text())["authorization"]["users"]
    assert {f"nats_{user['user']}": user["password"] for user in users}.items() <= before.items()
    make_secrets(folder)


def test_a_profile_that_does_not_exist_makes_nothing(tmp_path: Path) -> None:
    done = make_secrets(tmp_path / "secrets", "forex")

    assert done.returncode == 1
    assert done.stderr.startswith("profile: 'forex' does not exist; expected one of")
    assert not (tmp_path / "secrets").exists()
