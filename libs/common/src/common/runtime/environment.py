"""What a service is told from outside, the same under the supervisor, docker-compose and Kubernetes.

| variable | meaning |
|---|---|
| `BALLAST_HOME` | directory for what the service keeps on disk |
| `BALLAST_SERVICE` | its name, as in `contracts.INPUTS` |
| `BALLAST_INSTANCE` | which of several instances of the service it is, for a leased one; default 1 |
| `BALLAST_NATS_URL` | `nats://host:port`, without credentials; several separated by commas |
| `BALLAST_NATS_USER` | its user on NATS |
| `BALLAST_NATS_SEED_FILE` | file with the seed of that user's nkey |
| `BALLAST_NATS_CA_FILE` | file with the authority that signed the server's certificate; set, NATS is spoken over TLS only |
| `BALLAST_HTTP_PORT` | where it answers `/health`, `/metrics`, `/info` |
| `BALLAST_HTTP_HOST` | the address it binds for that; default 127.0.0.1, in a container 0.0.0.0 |
| `BALLAST_CONFIG` | file with the effective configuration, JSON |
| `BALLAST_TRACES_ENDPOINT` | where spans go, an OTLP/HTTP URL; not set, none are made |
| `BALLAST_TRACES_RATIO` | share of the steps whose traces are sampled, from 0 to 1; default 0.01 |
| `BALLAST_REDIS_URL_FILE` | file with `redis://:password@host:port/0`; only for services that use Redis |
| `BALLAST_POSTGRES_DSN_FILE` | file with `postgresql://user:password@host:port/db`; only for those that use PostgreSQL |

Secrets come as files, never as values: an environment can be read in `ps`, in core dumps and by children.
"""

from __future__ import annotations

import contextlib
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
NATS_SEED_FILE: Final = "BALLAST_NATS_SEED_FILE"
NATS_CA_FILE: Final = "BALLAST_NATS_CA_FILE"
HTTP_PORT: Final = "BALLAST_HTTP_PORT"
HTTP_HOST: Final = "BALLAST_HTTP_HOST"
CONFIG: Final = "BALLAST_CONFIG"
TRACES_ENDPOINT: Final = "BALLAST_TRACES_ENDPOINT"
TRACES_RATIO: Final = "BALLAST_TRACES_RATIO"
REDIS_URL_FILE: Final = "BALLAST_REDIS_URL_FILE"
POSTGRES_DSN_FILE: Final = "BALLAST_POSTGRES_DSN_FILE"


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The variables, read and checked. Holds no secret, so it may be logged."""

    home: Path
    service: str
    nats_url: str
    nats_user: str
    nats_seed_file: Path
    http_port: int
    config: Path
    http_host: str = "127.0.0.1"
    instance: str = "1"
    nats_ca_file: Path | None = None
    redis_url_file: Path | None = None
    postgres_dsn_file: Path | None = None
    traces_endpoint: str = ""
    traces_ratio: float = 0.01

    @staticmethod
    def from_os(variables: Mapping[str, str] = os.environ) -> Environment:
        """Raises ConfigError naming the variable that is missing or wrong."""
        return Environment(
            home=Path(_required(variables, HOME)),
            service=_required(variables, SERVICE),
            nats_url=_required(variables, NATS_URL),
            nats_user=_required(variables, NATS_USER),
            nats_seed_file=Path(_required(variables, NATS_SEED_FILE)),
            http_port=_port(_required(variables, HTTP_PORT)),
            config=Path(_required(variables, CONFIG)),
            http_host=variables.get(HTTP_HOST) or "127.0.0.1",
            instance=_instance(variables.get(INSTANCE) or "1"),
            nats_ca_file=_path(variables, NATS_CA_FILE),
            redis_url_file=_path(variables, REDIS_URL_FILE),
            postgres_dsn_file=_path(variables, POSTGRES_DSN_FILE),
            traces_endpoint=_endpoint(variables.get(TRACES_ENDPOINT) or ""),
            traces_ratio=_ratio(variables.get(TRACES_RATIO) or "0.01"),
        )

    def variables(self) -> dict[str, str]:
        """What `from_os` reads: the other direction, for whoever starts the service."""
        optional = {
            NATS_CA_FILE: self.nats_ca_file,
            REDIS_URL_FILE: self.redis_url_file,
            POSTGRES_DSN_FILE: self.postgres_dsn_file,
        }
        return {
            HOME: str(self.home),
            SERVICE: self.service,
            NATS_URL: self.nats_url,
            NATS_USER: self.nats_user,
            NATS_SEED_FILE: str(self.nats_seed_file),
            HTTP_PORT: str(self.http_port),
            HTTP_HOST: self.http_host,
            INSTANCE: self.instance,
            CONFIG: str(self.config),
            **{name: str(path) for name, path in optional.items() if path},
            **self._traces(),
        }

    def _traces(self) -> dict[str, str]:
        if not self.traces_endpoint:
            return {}
        return {TRACES_ENDPOINT: self.traces_endpoint, TRACES_RATIO: str(self.traces_ratio)}

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


def _path(variables: Mapping[str, str], name: str) -> Path | None:
    value = variables.get(name)
    return Path(value) if value else None


def _endpoint(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", text):
        raise ConfigError(f"{TRACES_ENDPOINT}: expected a URL without a password, http://host:4318 for instance")
    return text


def _ratio(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise ConfigError(f"{TRACES_RATIO} = {text!r}: expected a number from 0 to 1")


def _instance(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,253}", text):  # a pod's name at the longest
        raise ConfigError(f"{INSTANCE} = {text!r}: expected letters, digits, dots, - and _")
    return text


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise ConfigError(f"{HTTP_PORT} = {text!r}: expected a port from 1 to 65535")
    return int(text)
