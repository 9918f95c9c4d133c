"""Checks deploy/Dockerfile and docker-compose.yml: well formed, hardened, and in agreement with the code and with Prometheus."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from common.contracts import INPUTS, LEASED

ROOT = Path(__file__).parent.parent
OURS = set(INPUTS) - {"operator"}
STANDBYS = {f"{name}_standby": name for name in LEASED}
Stanza = dict[str, Any]

SECRETS = "/run/secrets/"
UNASKABLE = ("otel/", "jaegertracing/")  # images in which nothing could ask for the server's health
# Who may be on a network: what is not named here cannot be reached over it.
MEMBERS: dict[str, set[str]] = {
    "inside": {"nats", "provision", *OURS, *STANDBYS},
    "data": {"postgres", "redis", "recorder", "gateway", "execution", "execution_standby"},
    "watch": {"prometheus", "alertmanager", "grafana", "collector", "jaeger", *OURS, *STANDBYS},
    "edge": {"gateway", "prometheus", "alertmanager", "grafana", "jaeger"},
}


def _secrets_read(stanza: Stanza) -> set[str]:
    values = (str(value) for value in stanza.get("environment", {}).values())
    return {value.removeprefix(SECRETS) for value in values if value.startswith(SECRETS)}


def _has_version(image: str) -> bool:
    return any(digit.isdigit() for digit in image.rpartition("/")[2].partition(":")[2])


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
        lambda stanza: "healthcheck" in stanza or stanza["image"].startswith(("ballast/", *UNASKABLE)),
    ),  # ours have it in the image
    ("an image with a version", lambda stanza: stanza["image"].startswith("ballast/") or _has_version(stanza["image"])),
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
    for name in sorted(set(STANDBYS) - set(stanzas)):
        yield f"docker-compose.yml: {name} is missing, {STANDBYS[name]} has a lease"
    for name in sorted((built & OURS) | (set(STANDBYS) & set(stanzas))):
        yield from _identity(name, stanzas[name])
    yield from _networks(compose)
    targets = {
        target
        for config in prometheus["scrape_configs"]
        for part in config["static_configs"]
        for target in part["targets"]
    }
    scraped = {target.split(":")[0] for target in targets if target.endswith(":8080")}
    for name in sorted(scraped ^ (OURS | set(STANDBYS))):
        yield f"deploy/prometheus/prometheus.yml: {name} is scraped but not ours, or ours but not scraped"


def _identity(name: str, stanza: Stanza) -> Iterator[str]:
    """A service is who its name says, a standby who it stands by for, and no secret is a value."""
    leader, environment = STANDBYS.get(name, name), stanza["environment"]
    if environment.get("BALLAST_NATS_USER") != leader:
        yield f"docker-compose.yml: {name} must log in to NATS as {leader}"
    if stanza["image"] != f"ballast/{leader}":
        yield f"docker-compose.yml: {name} must run the image ballast/{leader}"
    if name in STANDBYS and environment.get("BALLAST_INSTANCE", "1") == "1":
        yield f"docker-compose.yml: {name} needs a BALLAST_INSTANCE of its own"


def _networks(compose: Stanza) -> Iterator[str]:
    """Who is on a network where it has no business; and only `edge` leads outside."""
    for name, stanza in compose["services"].items():
        for network in stanza.get("networks", ["default"]):
            if name not in MEMBERS.get(network, set()):
                yield f"docker-compose.yml: {name} has no business on the network {network}"
        if stanza.get("ports") and "edge" not in stanza.get("networks", []):
            yield f"docker-compose.yml: {name} publishes a port, but is not on the network edge"
    for name, network in compose["networks"].items():
        if (name != "edge") != bool((network or {}).get("internal")):
            yield f"docker-compose.yml: the network {name} {'must be' if name != 'edge' else 'cannot be'} internal"


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
