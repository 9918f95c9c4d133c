"""Planted secrets are found nowhere but in their files: not in logs, pages, metrics, errors, status or the tape."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from support.system import SPAN, System, ballast, login, until

from common.errors import ConfigError, TapeError
from common.runtime.login import new_seed, read_seed
from common.runtime.nats_tape import NatsTape
from common.runtime.supervisor import Status

pytestmark = [pytest.mark.integration, pytest.mark.req("PLT-06")]

PAGES = ("/metrics", "/info", "/health/live", "/health/ready", "/login", "/api/v1/status", "/api/v1/nothing")
WRONG = "a-password-that-nobody-should-see-0815"


def canaries(home: Path) -> dict[str, str]:
    """Every secret of the home, by the name of its file."""
    return {path.name: path.read_text().strip() for path in (home / "secrets").iterdir() if path.is_file()}


def holding(text: str, secrets: dict[str, str]) -> list[str]:
    return [name for name, secret in secrets.items() if len(secret) >= 8 and secret in text]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("canaries"), *SPAN, "--speed", "20") as system:
        until(lambda: ballast(system.home, "status", check=False).get("ready") is True, "ready", 120)
        yield system


def everything_said(home: Path) -> Iterator[tuple[str, str]]:
    """(where, text) of all that the system tells anybody who asks."""
    status = Status.load(home)
    assert status is not None
    secrets = canaries(home)
    logins = (None, ("admin", WRONG), ("admin", secrets["gateway_password"]))
    for name, process in status.processes.items():
        for page in PAGES if process.http_port else ():
            for auth in logins:
                answer = httpx.get(f"http://127.0.0.1:{process.http_port}{page}", auth=auth, timeout=20)
                headers = "\n".join(value for key, value in answer.headers.items() if key != "set-cookie")
                yield f"{name}{page}", f"{headers}\n{answer.text}"
    for verb in (("status",), ("halt", "--reason", "canary"), ("resume", "--reason", "canary"), ("doctor",)):
        yield f"ballast {verb[0]}", str(ballast(home, *verb, check=False))
    for number, (_, envelope, message) in enumerate(System(home).tape()):
        yield f"tape {number}", f"{envelope} {message}"
    for path in sorted((home / "run").rglob("*")):
        if path.is_file():
            yield str(path), path.read_text(errors="replace")


def test_no_secret_is_in_what_the_system_says_or_logs(system: System) -> None:
    secrets = canaries(system.home)
    assert {"gateway_password", "nats_operator", "nats_risk_guardian"} <= set(secrets)
    told = {where: found for where, text in everything_said(system.home) if (found := holding(text, secrets))}
    for service in ("gateway", "execution"):  # what is logged when a process dies and comes back
        system.kill(service)
    until(lambda: ballast(system.home, "status", check=False).get("ready") is True, "ready again", 120)
    logs = [path for path in (system.home / "logs").rglob("*") if path.is_file()]
    assert len(logs) >= 8
    for log in logs:
        text = log.read_text(errors="replace")
        if found := [*holding(text, secrets), *([WRONG] if WRONG in text else [])]:
            told[str(log)] = found
    assert told == {}


async def test_a_wrong_seed_is_refused_without_being_told(system: System, tmp_path: Path) -> None:
    path = tmp_path / "nats_operator"
    path.write_text(WRONG)
    with pytest.raises(ConfigError, match="nats_operator") as unfit:
        read_seed(path)
    assert WRONG not in str(unfit.value)

    unknown = replace(login(system.home, "operator"), seed=new_seed())
    assert unknown.seed not in repr(unknown)
    with pytest.raises(TapeError) as refused:
        await NatsTape.connect(unknown)
    assert unknown.seed not in str(refused.value)


def test_a_service_that_cannot_read_its_database_names_no_password(tmp_path: Path) -> None:
    dsn = tmp_path / "dsn"
    dsn.write_text(f"postgresql://ballast:{WRONG}@127.0.0.1:1/ballast")
    script = f"import asyncio; from common.runtime.postgres import Postgres; asyncio.run(Postgres({dsn.read_text()!r}).fetch('SELECT 1'))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert WRONG not in done.stderr.replace(script, "")


def test_a_planted_secret_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "nats_x").write_text("SUAPLANTED\n")
    assert holding('{"event": "login", "seed": "SUAPLANTED"}', canaries(tmp_path)) == ["nats_x"]


@pytest.mark.req("MON-05")
def test_secrets_that_are_removed_are_made_anew_and_the_old_ones_open_nothing(tmp_path: Path) -> None:
    """As docs/runbooks/lost-credentials.md says, on a home with a run in it."""
    span = ("--from", "2015-01-01", "--to", "2015-03-01", "--speed", "20")
    with System(tmp_path, *span):
        until(lambda: ballast(tmp_path, "status", check=False).get("ready") is True, "ready", 120)
    before, old = canaries(tmp_path), login(tmp_path, "operator")
    for pattern in ("nats_*", "gateway_password", "redis.*"):
        for path in (tmp_path / "secrets").glob(pattern):
            path.unlink()
    with System(tmp_path, *span) as system:
        until(lambda: ballast(tmp_path, "status", check=False).get("ready") is True, "ready again", 120)
        after = canaries(tmp_path)
        changed = {name for name, secret in after.items() if secret != before[name]}
        assert changed >= {name for name in before if name.startswith(("nats_", "redis."))} | {"gateway_password"}
        with pytest.raises(TapeError):
            asyncio.run(NatsTape.connect(replace(login(tmp_path, "operator"), seed=old.seed)))
        assert system.tape()
        status = Status.load(tmp_path)
        assert status is not None
        page = f"http://127.0.0.1:{status.processes['gateway'].http_port}/api/v1/status"
        assert httpx.get(page, auth=("admin", before["gateway_password"]), timeout=20).status_code == 401
        assert httpx.get(page, auth=("admin", after["gateway_password"]), timeout=20).status_code == 200
