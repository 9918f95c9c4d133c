"""Writes what docker-compose.yml mounts: passwords, server configuration and the effective configuration of a profile.

Passwords that exist are kept, so a second run changes nothing but the profile.

    .venv/bin/python deploy/make_secrets.py [PROFILE [FOLDER]]
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from ballast_cli.configuration import effective
from common.errors import BallastError
from common.runtime import nats_config

FOLDER: Final = Path(__file__).parent / "secrets"
SPEED: Final = "5"  # slices a second, so that there is something to watch
GATEWAY: Final = "gateway"  # the name under which Prometheus asks for its metrics

REDIS_CONF: Final = """\
port 6379
requirepass "{password}"
appendonly no
save ""
maxmemory 96mb
maxmemory-policy noeviction
"""


def main(profile: str = "fx", folder: str = str(FOLDER)) -> None:
    """Raises ConfigError for a profile that does not exist."""
    config, path = _config(profile), Path(folder)
    path.mkdir(mode=0o700, exist_ok=True)
    users = {user: _password(path / f"nats_{user}") for user in nats_config.USERS}
    redis, postgres = _password(path / "redis_password"), _password(path / "postgres_password")
    _password(path / "gateway_password")
    nats = nats_config.server_config("0.0.0.0", 4222, "127.0.0.1:8222", "/var/tmp", users)  # noqa: S104, S108 inside the container
    for name, content in {
        "nats.conf": _json(nats),
        "redis.conf": REDIS_CONF.format(password=redis),
        "redis_url": f"redis://:{redis}@redis:6379/0",
        "postgres_dsn": f"postgresql://ballast:{postgres}@postgres:5432/ballast",
        "config.json": _json(config),
    }.items():
        _write(path / name, content)
    print(f"{path}: {len(list(path.iterdir()))} files for profile {profile}")


def _config(profile: str) -> dict[str, Any]:
    config = effective(profile, speed=SPEED)
    return {**config, "gateway": {**config["gateway"], "hosts": [*config["gateway"]["hosts"], GATEWAY]}}


def _password(path: Path) -> str:
    """The one of last time, or a new one."""
    if not path.is_file():
        _write(path, secrets.token_urlsafe(24))
    return path.read_text()


def _write(path: Path, content: str) -> None:
    """Readable by every container that is given the file; the folder itself is closed to other users of this machine."""
    path.unlink(missing_ok=True)
    path.write_text(content)
    path.chmod(0o444)


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except BallastError as error:
        sys.exit(str(error))
