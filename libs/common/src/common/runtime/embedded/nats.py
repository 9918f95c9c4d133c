"""nats-server with JetStream, one user per service."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from common.errors import ConfigError
from common.runtime import nats_config
from common.runtime.embedded import binaries
from common.runtime.embedded.home import LOCALHOST, Home, write_atomic
from common.runtime.embedded.process import ProcessSpec
from common.runtime.embedded.server import BARE_ENV, Server
from common.runtime.login import Login, new_seed, public_key
from common.runtime.nats_config import Cluster

NAME: Final = "nats"


def seed_file(home: Home, user: str) -> Path:
    """Where the seed of its nkey is kept."""
    return home.directory("secrets") / f"nats_{user}"


def login(home: Home, url: str, user: str) -> Login:
    """With the seed of this home, made at the first call."""
    return Login(url, user, home.secret(seed_file(home, user).name, new_seed))


def public_keys(home: Home) -> dict[str, str]:
    """Of all users. What a home of an earlier build kept as their passwords goes."""
    for user in nats_config.USERS:
        (home.directory("secrets") / f"nats-{user}.password").unlink(missing_ok=True)
    return {user: public_key(login(home, "", user).seed) for user in nats_config.USERS}


def prepare(home: Home, port: int, monitor_port: int) -> Server:
    """Writes its configuration. Raises ConfigError when the binary is missing or too old."""
    return _prepare(home, NAME, port, monitor_port)


def prepare_cluster(home: Home, size: int = 3) -> tuple[tuple[Server, ...], str]:
    """Servers that replicate the streams among themselves, and the URL of all of them together. For drills: on one host they
    share its fate.
    """
    names = [f"{NAME}-{number}" for number in range(1, size + 1)]
    ports = home.ports(f"{name}{use}" for name in names for use in ("", ".monitor", ".route"))
    routes = tuple(f"{LOCALHOST}:{ports[f'{name}.route']}" for name in names)
    servers = tuple(
        _prepare(home, name, ports[name], ports[f"{name}.monitor"], Cluster(name, ports[f"{name}.route"], routes))
        for name in names
    )
    return servers, ",".join(f"nats://{LOCALHOST}:{ports[name]}" for name in names)


def _prepare(home: Home, name: str, port: int, monitor_port: int, cluster: Cluster | None = None) -> Server:
    binary = binaries.nats_server()
    _check_version(str(binary))
    monitor = f"{LOCALHOST}:{monitor_port}"
    directory = home.directory(name)
    config = nats_config.server_config(LOCALHOST, port, monitor, str(directory), public_keys(home), cluster)
    path = directory / "nats.conf"
    write_atomic(path, msgspec.json.format(msgspec.json.encode(config)), mode=0o600)
    spec = ProcessSpec(name=name, argv=(str(binary), "--config", str(path)), env=BARE_ENV)
    return Server(spec=spec, ready=partial(_healthy, f"http://{monitor}/healthz"))


def _healthy(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:  # refused, or 503 while JetStream recovers
        return False


def _check_version(binary: str) -> None:
    shown = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v(\d+)\.(\d+)", shown)  # nats-server: v2.15.1
    if not found or tuple(map(int, found.groups())) < nats_config.MIN_VERSION:
        wanted = ".".join(map(str, nats_config.MIN_VERSION))
        raise ConfigError(f"{binary}: {shown.strip()}; expected nats-server {wanted} or newer")
