"""`ballast backup`: tape, history, intents and configuration in one file, while everything goes on."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ballast_cli.operator import endpoints_of
from common.errors import ConfigError, TapeError
from common.runtime import environment as names
from common.runtime.backup import Manifest, Servers, save
from common.runtime.embedded import EmbeddedServers
from common.runtime.embedded.endpoints import Endpoints
from common.runtime.environment import read_secret
from common.runtime.login import Login, read_seed
from common.runtime.nats_config import ADMIN
from common.runtime.postgres import PostgresError
from common.runtime.supervisor import Status

OPERATOR: Final = "operator"
SECRETS: Final = "secrets"
_OWN: Final = {"nats", "redis", "postgres", "run", "logs", SECRETS}  # kept in another way, or of this machine
CONFIG_FILE: Final = "config.json"


class UnreachableError(TapeError):
    """A server does not answer."""


def backup(home: Path, target: Path, *, with_secrets: bool) -> dict[str, Any]:
    """Of the servers named by the environment, else of this home, whose servers are started for it where nothing runs. `target` is a
    file that is not there yet, or a directory, in which a new one is made.
    """
    began, path = time.perf_counter(), _file(target)
    named = deployment(os.environ)
    if named and with_secrets:
        raise ConfigError(
            "--with-secrets: only a home has its secrets with it; those of a deployment lie where it is deployed from"
        )
    with plainly():
        if named:
            manifest = asyncio.run(save(named, path, _config_of(os.environ), secrets=False))
        else:
            manifest = _of_home(home, path, with_secrets=with_secrets)
    return {**described(manifest), "file": str(path), "size_bytes": path.stat().st_size, "took_s": _since(began)}


def servers_of(endpoints: Endpoints) -> Servers:
    """Those of a home."""
    return Servers(endpoints.login(ADMIN), endpoints.login(OPERATOR), endpoints.postgres_dsn_with_password())


def deployment(variables: Mapping[str, str]) -> Servers | None:
    """The servers that BALLAST_NATS_URL and the seed and DSN files name; None where it is not set. The seed is that of `admin`, and
    `nats_operator` lies beside it. Raises ConfigError naming what is missing.
    """
    url = variables.get(names.NATS_URL)
    if not url:
        return None
    seed, dsn = _given(variables, names.NATS_SEED_FILE), _given(variables, names.POSTGRES_DSN_FILE)
    ca_file = Path(variables[names.NATS_CA_FILE]) if variables.get(names.NATS_CA_FILE) else None
    logins = (
        Login(url, ADMIN, read_seed(seed), ca_file),
        Login(url, OPERATOR, read_seed(seed.with_name(f"nats_{OPERATOR}")), ca_file),
    )
    return Servers(*logins, read_secret(dsn))


def files_of(home: Path, *, with_secrets: bool) -> dict[str, Path]:
    """What a home holds besides servers, by its path in it: the configuration, parameters, kept runs."""
    own = _OWN - {SECRETS} if with_secrets else _OWN
    return {
        str(path.relative_to(home)): path
        for path in sorted(home.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and path.relative_to(home).parts[0] not in own
        and not any(part.startswith(".") for part in path.relative_to(home).parts)
    }


def described(manifest: Manifest) -> dict[str, Any]:
    """What is in an archive, for people and programs."""
    tape = manifest.streams["TAPE"]
    return {
        "made": datetime.fromtimestamp(manifest.made_ns / 1e9, UTC).isoformat(timespec="seconds"),
        "build": manifest.build,
        "contracts": manifest.contracts,
        "tape": {"messages": tape.messages, "first_seq": tape.first_seq, "last_seq": tape.last_seq},
        "tables": len(manifest.tables),
        "rows": sum(table.rows for table in manifest.tables.values()),
        "order_intents": manifest.tables["order_intents"].rows if "order_intents" in manifest.tables else 0,
        "files": len(manifest.files),
        "secrets": manifest.secrets,
    }


@contextmanager
def plainly() -> Iterator[None]:
    """A server that does not answer is no fault of the archive: another exit code."""
    try:
        yield
    except PostgresError as error:
        raise UnreachableError(str(error)) from error


def _of_home(home: Path, path: Path, *, with_secrets: bool) -> Manifest:
    endpoints, files = endpoints_of(home), files_of(home, with_secrets=with_secrets)
    if Status.load(home) is not None:
        return asyncio.run(save(servers_of(endpoints), path, files, secrets=with_secrets))
    with EmbeddedServers(home) as endpoints:
        return asyncio.run(save(servers_of(endpoints), path, files, secrets=with_secrets))


def _file(target: Path) -> Path:
    if target.is_dir():
        return target.resolve() / f"ballast-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip"
    if not target.absolute().parent.is_dir():
        raise ConfigError(f"{target}: no such directory; expected a file in a directory that is there")
    return target.resolve()


def _config_of(variables: Mapping[str, str]) -> dict[str, Path]:
    path = variables.get(names.CONFIG)
    return {CONFIG_FILE: Path(path)} if path else {}


def _given(variables: Mapping[str, str], name: str) -> Path:
    value = variables.get(name)
    if not value:
        raise ConfigError(f"{name}: not set; with {names.NATS_URL} it is needed as well")
    return Path(value)


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 2)
