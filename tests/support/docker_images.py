"""The images of docker-compose.yml where no registry can be reached: the real Dockerfile on a base of Debian's packages, and for the
servers **stand-ins** made of Debian's packages under the very names that docker-compose.yml asks for.

So what is proved is our images and our configuration; that the genuine servers' images work is not.
With `BALLAST_DOCKER_PULL=1` images are pulled first and stand-ins made only for what cannot be had.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Final

import yaml

from common.contracts import INPUTS
from common.runtime.embedded import binaries
from support.docker_engine import Engine, run

ROOT: Final = Path(__file__).parents[2]
STANDINS: Final = ROOT / "tests/docker/standins"
STANDIN: Final = "ballast.standin"
PULL: Final = "BALLAST_DOCKER_PULL"
OURS: Final = tuple(sorted(set(INPUTS) - {"operator"}))
SERVERS: Final = ("nats", "redis", "postgres", "prometheus", "alertmanager")  # the services with a stand-in
TESTCONTAINERS: Final = {"nats": "nats:2.12", "redis": "redis:7", "postgres": "postgres:18"}
CONTEXT: Final = (
    "pyproject.toml",
    "uv.lock",
    "LICENSE",
    "docker-compose.yml",
    ".dockerignore",
    "deploy",
    "tools",
    "libs",
    "services",
    "cli",
)
_UNUSED: Final = shutil.ignore_patterns(
    "tests", "secrets", "__pycache__", ".venv", "node_modules", "k8s", "*.nbi", "*.nbc"
)
_SMALL: Final = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
_UV: Final = ROOT / ".venv/uv/bin/uv"


def base_image() -> str:
    """What deploy/Dockerfile builds on."""
    found = re.search(r"^FROM (\S+) AS build$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    assert found, "deploy/Dockerfile: no FROM ... AS build"
    return found[1]


def server_images() -> dict[str, str]:
    """The image of every server with a stand-in, as docker-compose.yml names it."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return {name: _default(compose["services"][name]["image"]) for name in SERVERS}


def copy_project(folder: Path) -> None:
    """What is built, apart from the work tree: nobody's secrets are touched."""
    for name in CONTEXT:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=_UNUSED)
        else:
            shutil.copy2(source, target)


def make_base(engine: Engine) -> str:
    """Returns what it is: "pulled", "stand-in" or "kept"."""
    name = base_image()
    if engine.has_image(name):
        return "kept"
    if _pulled(engine, name):
        return "pulled"
    _debian(
        engine,
        name,
        "python3,python3-venv,python3-pip,ca-certificates,binutils",
        'rm "$1"/usr/lib/python3*/EXTERNALLY-MANAGED; ln -s /usr/bin/python3 "$1/usr/local/bin/python"',
    )
    return "stand-in"


def make_wheelhouse(engine: Engine, folder: Path) -> int:
    """Every wheel of the lock that an image installs, checked against its hashes. Returns how many files there are."""
    version = engine.docker("run", "--rm", "--network", "none", base_image(), "python", "-V").stdout.split()[1]
    folder.mkdir()
    packages = [word for name in OURS for word in ("--package", f"ballast-{name.replace('_', '-')}")]
    locked, exact = folder.parent / "locked.txt", folder.parent / "exact.txt"
    export = [_UV, "export", "--frozen", "--no-dev", "--no-emit-workspace", "--no-header", "--quiet"]
    run([*export, *packages, "--package", "ballast-common", "--extra", "traces", "-o", locked], cwd=ROOT)
    # Only what this very Python needs: pip would look at its own version.
    plain = [
        _UV,
        "pip",
        "compile",
        "--quiet",
        "--no-deps",
        "--generate-hashes",
        "--no-header",
        "--python-version",
        version,
    ]
    run([*plain, locked, "-o", exact], cwd=ROOT)
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--dest", folder]
    for wanted in (exact, ROOT / "tools/uv.txt", ROOT / "tools/build.txt"):
        run([*download, "-r", wanted])
    return len(list(folder.iterdir()))


def make_servers(engine: Engine, folder: Path) -> dict[str, str]:
    """Every server under its names; returns for each what it is."""
    made = {}
    binary = folder / "nats-server"
    for name, image in server_images().items():
        names = [image, *([TESTCONTAINERS[name]] if name in TESTCONTAINERS else [])]
        if all(engine.has_image(each) and not _is_standin(engine, each) for each in names):
            made[name] = "kept"
        elif all(_pulled(engine, each) for each in names):
            made[name] = "pulled"
        else:
            if not engine.has_image("ballast-test/servers"):
                packages = "busybox,redis-server,postgresql,prometheus,prometheus-alertmanager"
                _debian(engine, "ballast-test/servers", packages, 'ln -s busybox "$1/bin/wget"')
            if not binary.exists():
                shutil.copytree(STANDINS, folder, dirs_exist_ok=True)
                shutil.copy2(binaries.nats_server(), binary)
            tags = [word for each in names for word in ("--tag", each)]
            engine.docker("build", "--quiet", "--network", "none", "--label", STANDIN, "--target", name, *tags, folder)
            made[name] = "stand-in"
    return made


def build(engine: Engine, context: Path) -> dict[str, tuple[float, int]]:
    """The real images, without a network. For each service (seconds, bytes)."""
    built = {}
    for service in OURS:
        began = time.monotonic()
        engine.docker(
            *("build", "--quiet", "--network", "none", "--file", context / "deploy/Dockerfile"),
            *("--build-arg", f"SERVICE={service}", "--tag", f"ballast/{service}", context),
        )
        built[service] = (time.monotonic() - began, int(inspect(engine, f"ballast/{service}")["Size"]))
    return built


def inspect(engine: Engine, what: str) -> dict[str, Any]:
    """Of an image or a container."""
    found: dict[str, Any] = yaml.safe_load(engine.docker("inspect", what).stdout)[0]
    return found


def _is_standin(engine: Engine, image: str) -> bool:
    """Made again each time, which costs nothing when nothing has changed."""
    return STANDIN in (inspect(engine, image)["Config"]["Labels"] or {})


def _pulled(engine: Engine, name: str) -> bool:
    return os.environ.get(PULL) == "1" and engine.docker("pull", "--quiet", name, check=False).returncode == 0


def _debian(engine: Engine, name: str, packages: str, customize: str) -> None:
    tar = engine.folder / "root.tar"
    mmdebstrap = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", *_SMALL]
    run([*mmdebstrap, f"--customize-hook={customize}", "bookworm", tar])
    engine.docker("import", tar, name)
    tar.unlink()


def _default(image: str) -> str:
    """`${NAME:-value}` is value."""
    found = re.fullmatch(r"\$\{\w+:-(.+)\}", image)
    return found[1] if found else image
