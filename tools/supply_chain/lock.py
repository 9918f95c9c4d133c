"""uv.lock and the files of pinned tools: what is in them, who gets it, and that a package cannot be exchanged unnoticed."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from packaging.markers import Marker

from common.contracts import INPUTS

ROOT: Final = Path(__file__).resolve().parent.parent.parent
UV: Final = ROOT / ".venv/uv/bin/uv"
SERVICES: Final = tuple(sorted(set(INPUTS) - {"operator"}))
PINNED_TOOLS: Final = ("tools/uv.txt", "tools/build.txt", "tools/checkov.txt")
INSTALLERS: Final = ("Makefile", "deploy/Dockerfile", "deploy/image/install", "deploy/image/tools")
# What an image is: `deploy/image/install` asks for the same.
IN_IMAGE: Final = ("--package", "ballast-common", "--extra", "traces")
IMAGE: Final = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "python_version": "3.11"}
IMAGE_PYTHON: Final = {"python_full_version": "3.11.14", "platform_python_implementation": "CPython", "extra": ""}

_SHA256: Final = re.compile(r"sha256:[0-9a-f]{64}")
_INSTALL: Final = re.compile(r"\b(?:pip install|uv sync)\b")
# What makes an installation refuse a file that is not the one of the lock.
_CHECKED: Final = ("--require-hashes", "--locked")
_OWN: Final = "--no-deps /tmp/own/"  # our own wheels, built a line before
_STRANGERS: Final = ".bench/"  # other engines to compare with: environments of their own, nothing of Ballast in them


class Package(NamedTuple):
    """One entry of the lock. `files` are (name, SHA-256) of what an index may hand out for it."""

    name: str
    version: str
    origin: str
    files: tuple[tuple[str, str], ...]
    needs: tuple[str, ...]

    @property
    def ours(self) -> bool:
        return self.origin in {"editable", "virtual"}


def read(path: Path = ROOT / "uv.lock") -> list[Package]:
    """By name and version."""
    entries = tomllib.loads(path.read_text())["package"]
    return sorted(map(_package, entries))


def _package(entry: dict[str, Any]) -> Package:
    kept = [*([entry["sdist"]] if "sdist" in entry else []), *entry.get("wheels", [])]
    files = tuple((file.get("url", "").rpartition("/")[2], file.get("hash", "")) for file in kept)
    optional = [need for group in entry.get("optional-dependencies", {}).values() for need in group]
    needs = sorted({need["name"] for need in (*entry.get("dependencies", []), *optional)} - {entry["name"]})
    return Package(entry["name"], entry["version"], next(iter(entry["source"])), files, tuple(needs))


def unpinned(found: list[Package]) -> Iterator[str]:
    """A sentence for every package that could be another one tomorrow."""
    for package in found:
        if package.ours:
            continue
        if package.origin != "registry":
            yield f"uv.lock: {package.name} comes from {package.origin}, not from the index"
        elif not package.files:
            yield f"uv.lock: {package.name} {package.version} has no file"
        for name, digest in package.files:
            if not _SHA256.fullmatch(digest):
                yield f"uv.lock: {name or package.name} has no SHA-256"


def unpinned_tools(name: str, text: str) -> Iterator[str]:
    """The same for a file of requirements."""
    joined = text.replace("\\\n", " ")
    for line in filter(None, (line.partition("#")[0].strip() for line in joined.splitlines())):
        requirement = line.split()[0]
        if "==" not in requirement:
            yield f"{name}: {requirement} has no version"
        if not _SHA256.search(line):
            yield f"{name}: {requirement} has no SHA-256"


def unchecked_installs(name: str, text: str) -> Iterator[str]:
    """Installations that take whatever they are given."""
    for line in text.replace("\\\n", " ").splitlines():
        safe = any(word in line for word in (*_CHECKED, _OWN, _STRANGERS))
        if _INSTALL.search(line) and not line.lstrip().startswith("#") and not safe:
            yield f"{name}: {' '.join(line.split())[:80]!r} checks no hashes"


def complaints() -> Iterator[str]:
    yield from unpinned(read())
    for name in PINNED_TOOLS:
        yield from unpinned_tools(name, (ROOT / name).read_text())
    for name in INSTALLERS:
        yield from unchecked_installs(name, (ROOT / name).read_text())


def in_images() -> dict[str, set[str]]:
    """By package, the services whose image holds it: what the build itself is told to install."""
    found: dict[str, set[str]] = {}
    for service in SERVICES:
        for name in _exported("--package", f"ballast-{service.replace('_', '-')}", *IN_IMAGE):
            found.setdefault(name, set()).add(service)
    return found


def installed() -> set[str]:
    """What `make setup` installs beyond the tools of developers: images, command line and research."""
    return set(_exported("--all-packages", "--all-extras"))


def _exported(*what: str) -> list[str]:
    command = [str(UV), "export", "--frozen", "--no-dev", "--no-emit-workspace", "--no-header", "--no-hashes", *what]
    done = subprocess.run([*command, "--no-annotate", "--quiet"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"uv export: {done.stderr.strip()}")
    lines = (line.partition(";") for line in done.stdout.splitlines() if "==" in line)
    return [name.partition("==")[0].strip() for name, _, marker in lines if _in_image(marker)]


def _in_image(marker: str) -> bool:
    return not marker.strip() or Marker(marker).evaluate({**IMAGE, **IMAGE_PYTHON})
