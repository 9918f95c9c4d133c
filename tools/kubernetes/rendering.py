"""Every combination of deploy/k8s as YAML, and what it is held against."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, cast

import yaml
from tools.kubernetes.model import SERVICES, STATELESS, Cluster, Facts, Object

from common.runtime import http
from gateway import pages
from gateway.auth import Keys

ROOT: Final = Path(__file__).parents[2]


def render(stage: Path) -> dict[str, str]:
    """The YAML of every combination by its name, rendered from a copy of deploy/ in `stage` with secrets made for it. Raises
    SystemExit with kubectl's own words where one does not render.
    """
    deploy = stage / "deploy"
    shutil.copytree(ROOT / "deploy", deploy, ignore=shutil.ignore_patterns("image", "tests"))
    shutil.rmtree(deploy / "secrets", ignore_errors=True)
    for path in (deploy / "k8s/secrets").iterdir():
        if path.name != "kustomization.yaml":
            path.unlink()
    names = ("--tls", "nats", "*.nats-peers")
    _run([sys.executable, str(ROOT / "deploy/make_secrets.py"), "fx", str(deploy / "k8s/secrets"), *names])
    k8s = deploy / "k8s"
    overlays = (f"overlays/{path.name}" for path in sorted((k8s / "overlays").iterdir()))
    components = (_alone(k8s, path.name) for path in sorted((k8s / "components").iterdir()))
    return {name: _run(["kubectl", "kustomize", str(k8s / name)]) for name in ("base", *overlays, *components)}


def _alone(k8s: Path, component: str) -> str:
    """A kustomization of that component on the base, with the secrets."""
    path = k8s / "base with" / component
    path.mkdir(parents=True)
    content = {"resources": ["../../base", "../../secrets"], "components": [f"../../components/{component}"]}
    (path / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return str(path.relative_to(k8s))


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def facts() -> Facts:
    def read(path: str) -> Object:
        return dict(yaml.safe_load((ROOT / path).read_text()))

    return Facts(
        image=image_variables,
        paths={name: _gateway_paths() if name == STATELESS else _paths() for name in SERVICES},
        compose=read("docker-compose.yml"),
        prometheus=read("deploy/k8s/components/observability/prometheus.yml"),
        rules=frozenset(path.name for path in (ROOT / "deploy/prometheus/rules").glob("*.yml")),
        dashboards=frozenset(path.name for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")),
        version=tomllib.loads((ROOT / "cli/pyproject.toml").read_text())["project"]["version"],
    )


@cache
def image_variables(service: str) -> dict[str, str]:
    """What the last stage of deploy/Dockerfile sets."""
    last = re.split(r"^FROM ", (ROOT / "deploy/Dockerfile").read_text(), flags=re.MULTILINE)[-1]
    return {name: value.replace("${SERVICE}", service) for name, value in re.findall(r"(BALLAST_\w+)=(\S+)", last)}


def _paths() -> frozenset[str]:
    """Those of the health paths that every service knows."""
    health = http.Health("", "")
    wanted = ("/health/live", "/health/ready")
    return frozenset(path for path in wanted if not http._answer(health, path)[0].startswith("404"))  # noqa: SLF001 asks the code itself


def _gateway_paths() -> frozenset[str]:
    router = pages.router(cast("Keys", None), http.Health("", ""))  # no request is answered
    return frozenset(str(getattr(route, "path", "")) for route in router.routes)


def clusters(rendered: dict[str, str]) -> Iterator[Cluster]:
    known = facts()
    for name, text in rendered.items():
        objects = tuple(one for one in yaml.load_all(text, yaml.CSafeLoader) if one)
        yield Cluster(name, objects, known, complete=name.startswith("overlays/"))
