"""What a service is told from outside, the same under the supervisor, docker-compose and Kubernetes.

| variable | meaning |
|---|---|
| `BALLAST_HOME` | directory for what the service keeps on disk |
| `BALLAST_SERVICE` | its name, as in `contracts.INPUTS` |
| `BALLAST_INSTANCE` | which of several instances of the service it is, for a leased one; default 1 |
| `BALLAST_NATS_URL` | `nats://host:port`, without credentials; several separated by commas |
| `BALLAST_NATS_USER` | its user on NATS |
| `BALLAST_NATS_PASSWORD_FILE` | file with that user's password |
| `BALLAST_HTTP_PORT` | where it answers `/health`, `/metrics`, `/info` |
| `BALLAST_HTTP_HOST` | the address it binds for that; default 127.0.0.1, in a container 0.0.0.0 |
| `BALLAST_CONFIG` | file with the effective configuration, JSON |
| `BALLAST_REDIS_URL_FILE` | file with `redis://:password@host:port/0`; only for services that use Redis |
| `BALLAST_POSTGRES_DSN_FILE` | file with `postgresql://user:password@host:port/db`; only for those that use PostgreSQL |

Secrets come as files, never as values: an environment can be read in `ps`, in core dumps and by children.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from common.errors import ConfigError

HOME: Final = "BALLAST_HOME"
SERVICE: Final = "BALLAST_SERVICE"
INSTANCE: Final = "BALLAST_INSTANCE"
NATS_URL: Final = "BALLAST_NATS_URL"
NATS_USER: Final = "BALLAST_NATS_USER"
NATS_PASSWORD_FILE: Final = "BALLAST_NATS_PASSWORD_FILE"  # noqa: S105 the name of a variable
HTTP_PORT: Final = "BALLAST_HTTP_PORT"
HTTP_HOST: Final = "BALLAST_HTTP_HOST"
CONFIG: Final = "BALLAST_CONFIG"
REDIS_URL_FILE: Final = "BALLAST_REDIS_URL_FILE"
POSTGRES_DSN_FILE: Final = "BALLAST_POSTGRES_DSN_FILE"


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The variables, read and checked. Holds no secret, so it may be logged."""

    home: Path
    service: str
    nats_url: str
    nats_user: str
    nats_password_file: Path
    http_port: int
    config: Path
    http_host: str = "127.0.0.1"
    instance: str = "1"
    redis_url_file: Path | None = None
    postgres_dsn_file: Path | None = None

    @staticmethod
    def from_os(variables: Mapping[str, str] = os.environ) -> Environment:
        """Raises ConfigError naming the variable that is missing or wrong."""
        redis, postgres = variables.get(REDIS_URL_FILE), variables.get(POSTGRES_DSN_FILE)
        return Environment(
            home=Path(_required(variables, HOME)),
            service=_required(variables, SERVICE),
            nats_url=_required(variables, NATS_URL),
            nats_user=_required(variables, NATS_USER),
            nats_password_file=Path(_required(variables, NATS_PASSWORD_FILE)),
            http_port=_port(_required(variables, HTTP_PORT)),
            config=Path(_required(variables, CONFIG)),
            http_host=variables.get(HTTP_HOST) or "127.0.0.1",
            instance=_instance(variables.get(INSTANCE) or "1"),
            redis_url_file=Path(redis) if redis else None,
            postgres_dsn_file=Path(postgres) if postgres else None,
        )

    def variables(self) -> dict[str, str]:
        """What `from_os` reads: the other direction, for whoever starts the service."""
        optional = {REDIS_URL_FILE: self.redis_url_file, POSTGRES_DSN_FILE: self.postgres_dsn_file}
        return {
            HOME: str(self.home),
            SERVICE: self.service,
            NATS_URL: self.nats_url,
            NATS_USER: self.nats_user,
            NATS_PASSWORD_FILE: str(self.nats_password_file),
            HTTP_PORT: str(self.http_port),
            HTTP_HOST: self.http_host,
            INSTANCE: self.instance,
            CONFIG: str(self.config),
            **{name: str(path) for name, path in optional.items() if path},
        }

    def nats_password(self) -> str:
        return read_secret(self.nats_password_file)

    def redis_url(self) -> str:
        """With its password. Raises ConfigError where the service was given none."""
        return _read_given(self.redis_url_file, REDIS_URL_FILE)

    def postgres_dsn(self) -> str:
        """With its password. Raises ConfigError where the service was given none."""
        return _read_given(self.postgres_dsn_file, POSTGRES_DSN_FILE)


def read_secret(path: Path) -> str:
    """The file's content without the newline editors add. Raises ConfigError naming the file, never its content."""
    try:
        value = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the secret cannot be read: {getattr(error, 'strerror', 'not text')}") from None
    if not value:
        raise ConfigError(f"{path}: empty; expected a secret")
    return value


def _read_given(path: Path | None, name: str) -> str:
    if path is None:
        raise ConfigError(f"{name}: not set; expected the path of a file")
    return read_secret(path)


def _required(variables: Mapping[str, str], name: str) -> str:
    value = variables.get(name, "")
    if not value:
        raise ConfigError(f"{name}: not set; `ballast up` sets it, see common/runtime/environment.py")
    return value


def _instance(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,253}", text):  # a pod's name at the longest
        raise ConfigError(f"{INSTANCE} = {text!r}: expected letters, digits, dots, - and _")
    return text


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise ConfigError(f"{HTTP_PORT} = {text!r}: expected a port from 1 to 65535")
    return int(text)
