"""Checks deploy/Dockerfile and docker-compose.yml: well formed, hardened, and in agreement with the code."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from common.contracts import INPUTS

ROOT = Path(__file__).parent.parent
OURS = set(INPUTS) - {"operator"}
Stanza = dict[str, Any]

SECRETS = "/run/secrets/"


def _secrets_read(stanza: Stanza) -> set[str]:
    values = (str(value) for value in stanza.get("environment", {}).values())
    return {value.removeprefix(SECRETS) for value in values if value.startswith(SECRETS)}


RULES: tuple[tuple[str, Callable[[Stanza], bool]], ...] = (
    ("read_only: true", lambda stanza: stanza.get("read_only") is True),
    ("cap_drop: [ALL]", lambda stanza: stanza.get("cap_drop") == ["ALL"]),
    ("no-new-privileges", lambda stanza: "no-new-privileges:true" in stanza.get("security_opt", [])),
    ("a user that is not root", lambda stanza: str(stanza.get("user", "root")).split(":")[0] not in {"root", "0"}),
    ("a memory limit", lambda stanza: "mem_limit" in stanza),
    ("a restart policy", lambda stanza: "restart" in stanza),
    ("a bound on its logs", lambda stanza: "max-size" in stanza.get("logging", {}).get("options", {})),
    (
        "a healthcheck",
        lambda stanza: "healthcheck" in stanza or stanza["image"].startswith("ballast/"),
    ),  # ours have it in the image
    ("a grant for every secret it reads", lambda stanza: _secrets_read(stanza) <= set(stanza.get("secrets", []))),
    ("ports on 127.0.0.1 only", lambda stanza: all(p.startswith("127.0.0.1:") for p in stanza.get("ports", []))),
)


def complaints(compose: Stanza, prometheus: Stanza) -> Iterator[str]:
    """What is wrong, one sentence each."""
    stanzas: dict[str, Stanza] = compose["services"]
    built = {name for name, stanza in stanzas.items() if "build" in stanza}
    for name in sorted(built ^ OURS):
        yield f"docker-compose.yml: {name} is {'no service of ours' if name in built else 'missing'}"
    for name, stanza in stanzas.items():
        yield from (f"docker-compose.yml: {name} lacks {rule}" for rule, holds in RULES if not holds(stanza))
    for name in sorted(built & OURS):
        if stanzas[name]["environment"].get("BALLAST_NATS_USER") != name:
            yield f"docker-compose.yml: {name} must log in to NATS under its own name"
    targets = {
        target
        for config in prometheus["scrape_configs"]
        for part in config["static_configs"]
        for target in part["targets"]
    }
    for name in sorted({target.split(":")[0] for target in targets} ^ OURS):
        yield f"deploy/prometheus/prometheus.yml: {name} is scraped but not ours, or ours but not scraped"


def tools() -> Iterator[list[str]]:
    """Checkers of other people."""
    yield [str(Path(sys.executable).parent / "hadolint"), "deploy/Dockerfile"]
    if compose := shutil.which("docker-compose"):
        yield [compose, "config", "-q"]
    else:
        print("docker-compose is not installed: its own check of docker-compose.yml is left out")


def main() -> int:
    compose, prometheus = (
        yaml.safe_load((ROOT / name).read_text()) for name in ("docker-compose.yml", "deploy/prometheus/prometheus.yml")
    )
    found = list(complaints(compose, prometheus))
    for complaint in found:
        print(complaint, file=sys.stderr)
    failed = [command for command in tools() if subprocess.run(command, cwd=ROOT, check=False).returncode]
    return 1 if found or failed else 0


if __name__ == "__main__":
    sys.exit(main())
