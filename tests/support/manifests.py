"""deploy/k8s as kubectl renders it, once for a whole test run."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tools.kubernetes.model import Cluster
from tools.kubernetes.rendering import clusters, render

needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")


@cache
def rendered() -> tuple[Cluster, ...]:
    """Every combination; not to be changed."""
    with TemporaryDirectory() as folder:
        return tuple(clusters(render(Path(folder))))


def cluster(name: str) -> Cluster:
    return next(one for one in rendered() if one.name == name)
