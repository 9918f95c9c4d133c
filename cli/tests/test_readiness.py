"""`ballast readiness` where nothing runs, and what of it needs no servers (MON-04)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.command import Ballast

from ballast_cli.readiness.checks import CHECKS
from ballast_cli.readiness.machine import MIN_FREE_BYTES, disk, secret_files
from ballast_cli.readiness.page import page
from ballast_cli.readiness.system import System

pytestmark = pytest.mark.req("MON-04")


def test_where_nothing_runs_that_is_the_answer(ballast: Ballast) -> None:
    answer = ballast("readiness", "--json")
    assert answer.code == 69
    assert "nothing runs here" in answer.json["error"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "halts"), "--only halts: expected one of services"),
        (("--webhook", "9095"), "--webhook '9095': expected HOST:PORT"),
    ],
)
def test_wrong_arguments_are_named(ballast: Ballast, arguments: tuple[str, ...], said: str) -> None:
    answer = ballast("readiness", *arguments)
    assert answer.code == 2
    assert said in answer.err


def test_servers_of_a_deployment_are_refused(ballast: Ballast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALLAST_NATS_URL", "nats://127.0.0.1:4222")
    answer = ballast("readiness")
    assert (answer.code, "BALLAST_NATS_URL: set" in answer.err) == (78, True)


def test_what_kills_or_halts_is_done_only_when_it_is_asked_for_and_comes_last() -> None:
    disruptive = [check.name for check in CHECKS if check.disruptive]
    assert disruptive == ["halt", "resume", "dead-man", "failover"]
    assert [check.name for check in CHECKS][-len(disruptive) :] == disruptive


def secret_home(root: Path) -> Path:
    (root / "secrets").mkdir(mode=0o700)
    (root / "secrets" / "redis.password").write_text("a-long-password")
    (root / "secrets" / "redis.password").chmod(0o600)
    (root / "logs").mkdir()
    return root


def test_a_secret_that_others_can_read_is_found(tmp_path: Path) -> None:
    home = secret_home(tmp_path)
    assert secret_files(System(home)).passed is True
    (home / "secrets" / "redis.password").chmod(0o640)
    evidence = secret_files(System(home))
    assert (evidence.passed, evidence.saw) == (False, "redis.password has mode 0640")
    (home / "secrets" / "redis.password").chmod(0o600)
    (home / "secrets").chmod(0o755)
    assert secret_files(System(home)).saw == "secrets has mode 0755"


def test_a_secret_in_the_configuration_or_a_log_is_found_and_not_said(tmp_path: Path) -> None:
    home = secret_home(tmp_path)
    (home / "logs" / "redis.log").write_text("AUTH a-long-password")
    (home / "config.json").write_text('{"password": "a-long-password"}')
    evidence = secret_files(System(home))
    assert evidence.passed is False
    assert evidence.saw == "redis.password stands in config.json; redis.password stands in redis.log"


def test_a_home_without_secrets_has_not_passed(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir(mode=0o700)
    assert secret_files(System(tmp_path)).passed is False


def test_a_full_disk_is_found(tmp_path: Path) -> None:
    small = _small_filesystem()
    if small is None:
        pytest.skip(f"no file system with less than {MIN_FREE_BYTES} bytes free is mounted here")
    assert disk(System(small)).passed is False
    if _free(tmp_path) >= MIN_FREE_BYTES:
        assert disk(System(tmp_path)).passed is True


def test_the_page_shows_what_failed_and_nobody_can_write_into_it() -> None:
    shared = {"did": "tried <b>", "limit": "<i>", "took_s": 0.5}
    result = {
        "ok": False,
        "home": "/home/<x>",
        "build": "0.1.0",
        "contracts": "abc",
        "began": "now",
        "took_s": 1.0,
        "passed": 0,
        "failed": 1,
        "left_out": 1,
        "not_restored": ["trading is HALTED"],
        "checks": [
            {"check": "halt", "title": "A halt", "passed": False, "saw": "<script>alert(1)</script>", **shared},
            {"check": "webhook", "title": "A webhook", "passed": None, "saw": "not here", **shared},
        ],
    }
    written = page(result)
    assert "<script" not in written
    assert "&lt;script&gt;" in written
    assert "NOT READY: 0 passed, 1 failed, 1 left out" in written
    assert "Not left as it was found: trading is HALTED" in written
    assert "prefers-color-scheme: dark" in written
    assert "{{" not in written
    assert "http://" not in written
    assert "https://" not in written


def _small_filesystem() -> Path | None:
    mounts = [Path(line.split()[1]) for line in Path("/proc/mounts").read_text().splitlines()]
    return next((path for path in mounts if path.is_dir() and _size(path) > 0 and _free(path) < MIN_FREE_BYTES), None)


def _size(path: Path) -> int:
    try:
        found = os.statvfs(path)
    except OSError:
        return 0
    return found.f_blocks * found.f_frsize


def _free(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize
