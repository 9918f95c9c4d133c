"""A Docker engine of the tests' own: its own socket, its own images, and nothing of it left when it has stopped.

`BALLAST_DOCKER_CACHE` names a folder in which its images stay for the next time.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

CACHE: Final = "BALLAST_DOCKER_CACHE"
NEEDS: Final = ("dockerd", "docker", "docker-compose", "mmdebstrap", "iptables")
_START_S: Final = 30
_STOP_S: Final = 30
_FORWARDING: Final = Path("/proc/sys/net/ipv4/ip_forward")
# What an engine leaves in the packet filter: its chains, and rules that name its bridges or its networks.
_OURS: Final = re.compile(r"DOCKER|docker0|br-[0-9a-f]{12}|\b172\.(1[7-9]|2\d|3[01])\.")


class Unavailable(Exception):
    """Why no engine can run here."""


class Engine:
    """As a context manager it runs. Raises Unavailable with the reason where it cannot."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._before: dict[str, list[str]] = {}
        self._links_before: set[str] = set()
        self._forwarding = ""
        self._temporary = CACHE not in os.environ
        self.folder = Path(os.environ.get(CACHE) or "/nonexistent")
        self.env: dict[str, str] = {}

    def __enter__(self) -> Self:
        if missing := [name for name in NEEDS if not shutil.which(name)]:
            raise Unavailable(f"not installed: {', '.join(missing)}")
        if os.geteuid() != 0:
            raise Unavailable("a Docker engine of our own needs root")
        self.folder = Path(tempfile.mkdtemp(prefix="ballast-docker-")) if self._temporary else self.folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._before, self._links_before = {table: _rules(table) for table in ("filter", "nat")}, _bridges()
        self._forwarding = _FORWARDING.read_text()
        socket = f"unix://{self.folder}/docker.sock"
        (self.folder / "pid").unlink(missing_ok=True)
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["dockerd", *self._places(), "-H", socket],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.env = {**os.environ, "DOCKER_HOST": socket, "DOCKER_BUILDKIT": "0"}
        end = time.monotonic() + _START_S
        while self._process.poll() is None and time.monotonic() < end:
            if self.docker("version", check=False).returncode == 0:
                return self
            time.sleep(0.2)
        why = (self.folder / "log").read_text().strip().splitlines()[-1:]
        self.__exit__(None, None, None)
        raise Unavailable(f"dockerd does not start here: {''.join(why)}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for mount in _mounts(self.folder):
            subprocess.run(["umount", "--lazy", mount], check=False)
        for link in sorted(_bridges() - self._links_before):
            subprocess.run(["ip", "link", "delete", link], check=False)
        for table, before in self._before.items():
            _remove_rules(table, before)
        _FORWARDING.write_text(self._forwarding)
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _places(self) -> tuple[str, ...]:
        places = {"--data-root": "data", "--exec-root": "exec", "--pidfile": "pid"}
        return tuple(f"{option}={self.folder / name}" for option, name in places.items())

    def docker(self, *arguments: str | Path, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        """`docker ...`; raises AssertionError with what it said when it fails."""
        return run(["docker", *arguments], env=self.env, check=check, **more)

    def has_image(self, name: str) -> bool:
        return self.docker("image", "inspect", name, check=False).returncode == 0


def run(command: Iterable[str | Path], *, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
    """A command to its end, out of the way of everything else. A failure is an AssertionError with all that it said."""
    words = ["nice", "-n", "15", *map(str, command)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(words[3:])} ended with {done.returncode}:\n{done.stdout}{done.stderr}"[-6000:])
    return done


def _bridges() -> set[str]:
    """Those that an engine makes."""
    return {path.name for path in Path("/sys/class/net").glob("*") if path.name == "docker0" or path.name[:3] == "br-"}


def _mounts(folder: Path) -> list[str]:
    """What is mounted below a folder, the deepest first."""
    places = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    return sorted((place for place in places if place.startswith(f"{folder}/")), key=len, reverse=True)


def _rules(table: str) -> list[str]:
    return subprocess.run(
        ["iptables", "-t", table, "-S"], capture_output=True, text=True, check=False
    ).stdout.splitlines()


def _remove_rules(table: str, before: list[str]) -> None:
    """Takes away the engine's rules and chains that were not there, and puts its policies back."""
    added = [rule for rule in _rules(table) if rule not in before]

    def iptables(*words: str) -> None:
        subprocess.run(["iptables", "-t", table, *words], capture_output=True, check=False)

    for rule in (rule for rule in added if rule.startswith("-A") and _OURS.search(rule)):
        iptables("-D", *rule.split()[1:])
    for chain in (rule.split()[1] for rule in added if rule.startswith("-N DOCKER")):
        iptables("-F", chain)
    for chain in (rule.split()[1] for rule in added if rule.startswith("-N DOCKER")):
        iptables("-X", chain)
    for policy in (rule for rule in before if rule.startswith("-P")):
        iptables(*policy.split())
