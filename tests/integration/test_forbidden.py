"""A user whose rights do not fit its service: the process says so in one sentence and ends, instead of trying for ever."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.runtime.embedded import EmbeddedServers, Endpoints
from common.runtime.nats_config import ADMIN, provision_at
from common.testing.service_process import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.req("PLT-04")]

WITHIN_S = 2.0


class Rights:
    """Of a running nats-server, to be narrowed while it runs."""

    def __init__(self, home: Path, endpoints: Endpoints, pid: int) -> None:
        self.home, self.endpoints, self._pid = home, endpoints, pid
        self._path = home / "nats/nats.conf"
        self._whole = self._path.read_text()

    def without(self, service: str, verb: str, subject: str) -> None:
        config: dict[str, Any] = json.loads(self._whole)
        for user in config["authorization"]["users"]:
            allowed = user["permissions"][verb]["allow"]
            if f"_INBOX_{service}.>" in user["permissions"]["subscribe"]["allow"]:
                allowed.remove(subject)
        self._load(json.dumps(config))

    def restore(self) -> None:
        self._load(self._whole)

    def _load(self, text: str) -> None:
        log = self.home / "logs/nats.log"
        seen = log.read_text().count("Reloaded server configuration")
        self._path.write_text(text)
        os.kill(self._pid, signal.SIGHUP)
        while log.read_text().count("Reloaded server configuration") == seen:
            time.sleep(0.01)


@pytest.fixture(scope="module")
def running(prepared_home: Path) -> Iterator[Rights]:
    home = Path(tempfile.mkdtemp(prefix="ballast-test-"))
    home.chmod(0o711)
    subprocess.run(["cp", "-a", f"{prepared_home}/.", home], check=True)
    servers = EmbeddedServers(home)
    with servers as endpoints:
        asyncio.run(provision_at(endpoints.login(ADMIN)))
        yield Rights(home, endpoints, servers.processes["nats"].pid)
    shutil.rmtree(home)


@pytest.fixture
def rights(running: Rights) -> Iterator[Rights]:
    yield running
    running.restore()


def ended(process: ServiceProcess) -> tuple[int, str]:
    """(exit code, last words)."""
    assert process._process is not None
    code = process._process.wait(20)
    log = process.log.read_text()
    assert "Traceback" not in log, log
    return code, json.loads(log.splitlines()[-1]).get("error", "")


@pytest.mark.parametrize(
    ("service", "verb", "subject", "says"),
    [
        ("regime", "publish", "heartbeat.regime", "may not publish on heartbeat.regime"),
        ("regime", "publish", "$JS.API.STREAM.INFO.TAPE", "may not publish on $js.api.stream.info.tape"),
        ("regime", "publish", "$JS.API.CONSUMER.CREATE.TAPE", "may not publish on $js.api.consumer.create.tape"),
        (
            "regime",
            "publish",
            "system.service_started.v1.regime.>",
            "may not publish on system.service_started.v1.regime",
        ),
        ("regime", "subscribe", "_INBOX_regime.>", "may not subscribe to _inbox_regime."),
        ("risk_guardian", "publish", "$KV.leases.risk_guardian", "may not publish on $kv.leases.risk_guardian"),
        ("execution", "subscribe", "heartbeat.>", "may not subscribe to heartbeat."),
        ("recorder", "publish", "$JS.API.CONSUMER.CREATE.TAPE", "may not publish on $js.api.consumer.create.tape"),
        ("gateway", "publish", "heartbeat.gateway", "may not publish on heartbeat.gateway"),
    ],
)
def test_a_forbidden_operation_ends_the_process_with_one_sentence(
    rights: Rights, tmp_path: Path, service: str, verb: str, subject: str, says: str
) -> None:
    rights.without(service, verb, subject)
    process = ServiceProcess(service, rights.endpoints, tmp_path)
    process.start()
    code, error = ended(process)
    assert error.startswith(f"NATS user {service} {says}")
    assert error.endswith("its rights and common/contracts.py differ")
    assert code == 78


def test_rights_that_are_taken_away_end_a_running_service(rights: Rights, tmp_path: Path) -> None:
    with ServiceProcess("regime", rights.endpoints, tmp_path) as process:
        rights.without("regime", "publish", "heartbeat.regime")
        began = time.monotonic()
        code, error = ended(process)
        took = time.monotonic() - began
        assert code == 78
        assert error.startswith("NATS user regime may not publish on heartbeat.regime")
        print(f"\nended {took:.2f} s after its right was taken away")
        assert took < WITHIN_S
