"""Writes deploy/secrets for docker-compose.yml: passwords, server configuration and the profile.

What exists is kept, so a second run changes nothing but the profile.

    .venv/bin/python deploy/make_secrets.py [PROFILE]
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import msgspec

from common.errors import BallastError
from common.model.run import Run
from common.runtime import nats_config, settings

FOLDER = Path(__file__).parent / "secrets"
SPEED = "5"  # slices a second, so that there is something to watch

REDIS_CONF = """\
port 6379
requirepass "{password}"
appendonly no
save ""
maxmemory 96mb
maxmemory-policy noeviction
"""


def password(name: str) -> str:
    """The one of last time, or a new one."""
    path = FOLDER / name
    return path.read_text() if path.is_file() else write(name, secrets.token_urlsafe(24))


def write(name: str, value: str) -> str:
    """Readable by every container that is given the file; the folder itself is closed to other users of this machine."""
    path = FOLDER / name
    path.write_text(value)
    path.chmod(0o444)
    return value


def main(arguments: list[str]) -> int:
    profile = arguments[0] if arguments else "fx"
    config = settings.load(profile) | {"run": Run(profile=profile, speed=SPEED)}
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    users = {user: password(f"nats_{user}") for user in nats_config.USERS}
    redis, postgres = password("redis_password"), password("postgres_password")
    nats = nats_config.server_config("0.0.0.0", 4222, "127.0.0.1:8222", "/var/tmp", users)  # noqa: S104, S108 inside the container
    for name, content in {
        "nats.conf": as_json(nats),
        "redis.conf": REDIS_CONF.format(password=redis),
        "redis_url": f"redis://:{redis}@redis:6379/0",
        "postgres_dsn": f"postgresql://ballast:{postgres}@postgres:5432/ballast",
        "config.json": as_json(config),
    }.items():
        (FOLDER / name).unlink(missing_ok=True)
        write(name, content)
    print(f"{FOLDER}: {len(list(FOLDER.iterdir()))} files for profile {profile}")
    return 0


def as_json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BallastError as error:
        sys.exit(str(error))
