"""The integration tests of the servers' clients once more, against containers that testcontainers starts."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.docker_engine import Engine
from support.docker_images import ROOT

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]
# Whose servers are the shared ones; the others start an embedded system of their own.
TESTS = ("test_nats_tape.py", "test_embedded_permissions.py", "test_recorder.py")


@pytest.mark.req("PLT-05")
@pytest.mark.usefixtures("servers")
def test_the_integration_tests_pass_against_containers(engine: Engine) -> None:
    wanted = {
        "BALLAST_TEST_BACKEND": "docker",
        "TESTCONTAINERS_RYUK_DISABLED": "true",
        "TESTCONTAINERS_CONNECTION_MODE": "docker_host",
        "TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1",
    }
    tests = [f"tests/integration/{name}" for name in TESTS]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "integration", "-q", "-s", "-rfE", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        env={**engine.env, **wanted},
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"\n{done.stdout.splitlines()[-1]}")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"[-6000:]
    assert "servers of the integration tests: docker" in done.stdout
