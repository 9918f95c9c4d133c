"""PostgreSQL with the database `ballast`, owned by the role `ballast`, reachable on 127.0.0.1 with a password only.

PostgreSQL refuses to run as root. Root therefore runs it as `nobody`, and where that account cannot reach the home or the
installed binaries (below /root, say) both go to a directory below /var/lib/ballast, to which `postgres` in the home links.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from common.errors import BallastError, ConfigError
from common.runtime.embedded import binaries
from common.runtime.embedded.home import LOCALHOST, Home
from common.runtime.embedded.process import Account, ProcessSpec
from common.runtime.embedded.server import BARE_ENV, Server

NAME: Final = "postgres"
ROLE: Final = "ballast"
DATABASE: Final = "ballast"
_SUPERUSER: Final = "postgres"
_SUPERUSER_PASSWORD: Final = "postgres-superuser"  # noqa: S105 the name of a file
_OUTSIDE: Final = Path("/var/lib/ballast")

_SETTINGS: Final = {
    "listen_addresses": LOCALHOST,
    "unix_socket_directories": "",  # a path below a deep home would be too long for a socket
    "max_connections": "40",
    "shared_buffers": "32MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_min_error_statement": "panic",  # statements may hold secrets
    "max_wal_size": "256MB",
    "jit": "off",
}


def prepare(home: Home, port: int) -> Server:
    """Makes the cluster if there is none. Raises ConfigError or BallastError naming what is in the way."""
    account = _account()
    directory = _directory(home, account)
    data = directory / "data"
    install = _reachable(_install(data), directory, account)
    if not data.exists():
        _make_cluster(home, install, directory, account)
    settings = {**_SETTINGS, "port": str(port)}
    options = (word for key, value in settings.items() for word in ("-c", f"{key}={value}"))
    spec = ProcessSpec(
        name=NAME,
        argv=(str(install / "bin/postgres"), "-D", str(data), *options),
        env=BARE_ENV,
        stop_signal=signal.SIGINT,  # fast shutdown: does not wait for clients
        account=account,
        stale=(data / "postmaster.pid",),
    )
    return Server(spec=spec, ready=partial(_accepts, data / "postmaster.pid"))


def _accepts(pid_file: Path) -> bool:
    """The last line of the pid file says `ready` once connections are taken; the launcher removed any old file."""
    try:
        return pid_file.read_text().splitlines()[-1].strip() == "ready"
    except (OSError, IndexError):
        return False


def _account() -> Account | None:
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise ConfigError("PostgreSQL does not run as root and there is no account `nobody`; run as a user") from None
    return Account(entry.pw_uid, entry.pw_gid)


def _directory(home: Home, account: Account | None) -> Path:
    """Where its data lies, absolute, without links, and owned by the account."""
    link = home.directory(".") / "postgres"
    if account is None:
        return home.directory("postgres").resolve()
    if not link.exists() and not _passable(link.resolve().parent):
        _link_outside(link)
    directory = home.directory("postgres").resolve()
    os.chown(directory, account.uid, account.gid)
    return directory


def _link_outside(link: Path) -> None:
    try:
        _OUTSIDE.mkdir(mode=0o711, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(tempfile.mkdtemp(dir=_OUTSIDE))
    except OSError as error:
        raise ConfigError(
            f"{link.parent}: PostgreSQL, which runs as `nobody`, cannot reach it, nor can {_OUTSIDE} be used "
            f"({error.strerror}); set BALLAST_HOME to a directory that everybody may pass"
        ) from None


def _install(data: Path) -> Path:
    """The newest of the installed versions, or the one that made the data."""
    installs = binaries.postgres_installs()
    version_file = data / "PG_VERSION"
    if not version_file.is_file():
        return installs[max(installs)]
    major = int(version_file.read_text())
    if major not in installs:
        raise ConfigError(f"{data}: made by PostgreSQL {major}, installed is {', '.join(map(str, sorted(installs)))}")
    return installs[major]


def _reachable(install: Path, directory: Path, account: Account | None) -> Path:
    """The install itself, or a copy that the account can reach."""
    if account is None or _passable(install / "bin"):
        return install
    package = install.parent
    copy = directory / "server" / package.name / install.name
    if not _same_file(install / "bin/postgres", copy / "bin/postgres"):
        libraries = package.with_name(f"{package.name}.libs")  # found by the binaries relative to themselves
        if libraries.is_dir():
            shutil.copytree(libraries, directory / "server" / libraries.name, dirs_exist_ok=True)
        draft = copy.with_name("draft")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(install, draft, ignore=shutil.ignore_patterns("include", "*.a"), symlinks=True)
        shutil.rmtree(copy, ignore_errors=True)
        draft.rename(copy)
    return copy


def _same_file(one: Path, other: Path) -> bool:
    """By size and time, which copying keeps: an upgraded package differs."""
    if not other.is_file():
        return False
    return (one.stat().st_size, int(one.stat().st_mtime)) == (other.stat().st_size, int(other.stat().st_mtime))


def _passable(path: Path) -> bool:
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents))


def _make_cluster(home: Home, install: Path, directory: Path, account: Account | None) -> None:
    """Whole or not at all: it becomes `data` when the role and the database are in it."""
    draft = directory / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    password_file = directory / "superuser.password"
    password_file.touch(mode=0o600)
    password_file.write_text(home.password(_SUPERUSER_PASSWORD))
    if account:
        os.chown(password_file, account.uid, account.gid)
    initdb = (str(install / "bin/initdb"), "--no-sync", "-D", str(draft), "-U", _SUPERUSER, f"--pwfile={password_file}")
    try:
        _run((*initdb, "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions"), account)
    finally:
        password_file.unlink()
    # Single-user mode: no server, no connection, no password on a command line.
    strict = ("-c", "exit_on_error=on", "-c", "log_min_error_statement=panic")
    _run(
        (str(install / "bin/postgres"), "--single", "-D", str(draft), *strict, "postgres"),
        account,
        f"CREATE ROLE {ROLE} LOGIN PASSWORD '{home.password(NAME)}'\nCREATE DATABASE {DATABASE} OWNER {ROLE}\n",
    )
    draft.rename(directory / "data")


def _run(argv: tuple[str, ...], account: Account | None, text: str = "") -> None:
    done = subprocess.run(
        argv,
        check=False,
        input=text,
        env=dict(BARE_ENV),
        cwd="/",
        start_new_session=True,  # Ctrl-C is not for it
        capture_output=True,
        text=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=() if account else None,
    )
    if done.returncode != 0:
        raise BallastError(f"{Path(argv[0]).name} failed with {done.returncode}: {done.stderr.strip()[-500:]}")
