"""Where the servers are, and in which files their secrets lie."""

from __future__ import annotations

from pathlib import Path

import msgspec

from common.errors import ConfigError
from common.runtime.embedded.home import Home, write_atomic
from common.runtime.environment import read_secret
from common.runtime.login import Login, read_seed


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Kept in `run/endpoints.json`. URLs are without secrets; `*_file` and `*_files` are paths of secrets."""

    nats_url: str
    nats_monitor_url: str
    nats_seed_files: dict[str, str]  # by user: the services, "operator" and "admin"
    redis_url: str
    redis_url_file: str
    postgres_dsn: str
    postgres_dsn_file: str

    def login(self, user: str) -> Login:
        """Of one of `nats_config.USERS`."""
        return Login(self.nats_url, user, read_seed(Path(self.nats_seed_files[user])))

    def redis_url_with_password(self) -> str:
        return read_secret(Path(self.redis_url_file))

    def postgres_dsn_with_password(self) -> str:
        return read_secret(Path(self.postgres_dsn_file))

    def save(self, home: Home) -> None:
        write_atomic(home.run / "endpoints.json", msgspec.json.format(msgspec.json.encode(self)))

    @staticmethod
    def load(root: Path) -> Endpoints:
        """The endpoints of the home at `root`. Raises ConfigError where nothing has ever run."""
        path = root / "run" / "endpoints.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Endpoints)
        except (OSError, msgspec.MsgspecError):
            raise ConfigError(f"{path}: cannot be read; expected the file that `ballast up` writes") from None
