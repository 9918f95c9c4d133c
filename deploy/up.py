"""`make up`: builds and starts docker-compose.yml, waits until every container is healthy, and says where to look.

`python deploy/up.py docker compose`: what follows is the command that is compose here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
WITHIN_S: Final = 300.0
PAGES: Final = (
    ("gateway", "8080", "console, user admin, password in deploy/secrets/gateway_password"),
    ("grafana", "3000", "Grafana, user admin, password in deploy/secrets/grafana_password"),
    ("prometheus", "9090", "Prometheus"),
    ("alertmanager", "9093", "Alertmanager; alerts go to the URL in deploy/secrets/alert_webhook_url"),
    ("jaeger", "16686", "traces"),
)


def main(compose: Sequence[str]) -> None:
    """Ends the process with one sentence when something does not become healthy."""
    for words in (("build",), ("up", "--detach")):
        if subprocess.run([*compose, *words], cwd=ROOT, check=False).returncode:  # noqa: S603
            sys.exit(f"{' '.join([*compose, *words])} failed: its last lines above say why")
    waiting, end = waits_for(compose), time.monotonic() + WITHIN_S
    while waiting and time.monotonic() < end:
        time.sleep(1)
        waiting = waits_for(compose)
    if waiting:
        said = ", ".join(f"{name} ({state})" for name, state in waiting.items())
        sys.exit(f'not healthy after {WITHIN_S:g} s: {said}; see: make logs ARGS="{" ".join(waiting)}"')
    for service, port, what in PAGES:
        if address := _output(compose, "port", service, port):
            print(f"http://{address:<22} {what}")


def waits_for(compose: Sequence[str]) -> dict[str, str]:
    """Services that are neither healthy nor ended as they should, with their state. One without a healthcheck has to run."""
    ids = _output(compose, "ps", "--all", "--quiet").split() or _output(compose, "ps", "--quiet").split()
    found = json.loads(_output(("docker",), "inspect", *ids)) if ids else []
    troubles = {
        one["Config"]["Labels"]["com.docker.compose.service"]: _trouble(
            one["State"], one["HostConfig"]["RestartPolicy"]["Name"]
        )
        for one in found
    }
    return {name: why for name, why in sorted(troubles.items()) if why}


def _trouble(state: dict[str, object], restart: str) -> str:
    """Only what is started again "on-failure" may end."""
    match state:
        case {"Status": "exited", "ExitCode": 0} if restart == "on-failure":
            return ""
        case {"Status": "running", "Health": {"Status": str(health)}}:
            return "" if health == "healthy" else health
        case {"Status": "running"}:
            return ""
    return f"{state.get('Status')}, exit code {state.get('ExitCode')}"


def _output(command: Sequence[str], *words: str) -> str:
    """What it prints, empty when it fails."""
    done = subprocess.run([*command, *words], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("expected the command that is compose here, such as: docker compose")
    main(sys.argv[1:])
