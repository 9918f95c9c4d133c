"""redis-server: hot state that can be rebuilt from the tape at any time, so it writes nothing to disk."""

from __future__ import annotations

import socket
from functools import partial
from typing import Final

from common.runtime.embedded import binaries
from common.runtime.embedded.home import LOCALHOST, Home, write_atomic
from common.runtime.embedded.process import ProcessSpec
from common.runtime.embedded.server import BARE_ENV, Server

NAME: Final = "redis"

# noeviction: a full Redis says so, instead of forgetting a halt.
_CONFIG: Final = """\
bind {host}
port {port}
requirepass "{password}"
dir "{directory}"
daemonize no
appendonly no
save ""
maxmemory 128mb
maxmemory-policy noeviction
databases 1
"""


def prepare(home: Home, port: int) -> Server:
    """Writes its configuration. Raises ConfigError when the binary is missing."""
    password = home.password(NAME)
    directory = home.directory("redis")
    config = _CONFIG.format(host=LOCALHOST, port=port, password=password, directory=directory)
    path = directory / "redis.conf"
    write_atomic(path, config.encode(), mode=0o600)
    spec = ProcessSpec(name=NAME, argv=(str(binaries.redis_server()), str(path)), env=BARE_ENV)
    return Server(spec=spec, ready=partial(_answers, port, password))


def _answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection((LOCALHOST, port), timeout=1) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\nQUIT\r\n".encode())
            return b"+PONG" in connection.makefile("rb").read()
    except OSError:
        return False
