"""The configuration of three NATS servers as deploy/k8s renders it, in real servers."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from nats.aio.client import Client
from support.manifests import cluster, needs_kubectl
from tools.kubernetes.model import Cluster
from tools.kubernetes.rendering import ROOT

from common.runtime.embedded import binaries
from common.runtime.login import Login, read_seed
from common.runtime.nats_config import ADMIN, STREAMS, once

pytestmark = [pytest.mark.integration, pytest.mark.req("PLT-04", "PLT-05"), needs_kubectl]
FORMED_WITHIN_S = 30.0


class Peers:
    """Three real servers with the very configuration and secrets of the cluster; only addresses and folders are others."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.folder = folder
        self._ports = [[_free_port() for _ in range(3)] for _ in range(3)]  # client, monitoring, peers
        self._texts = {**_decoded(cluster, "nats-"), **_plain(cluster, "nats-cluster-")}
        secrets = {**_decoded(cluster, "provision-"), **_plain(cluster, "config-")}
        for name, text in secrets.items():
            (folder / name).write_text(text)

    def url(self, number: int) -> str:
        return f"nats://127.0.0.1:{self._ports[0][number]}"

    def start(self, number: int) -> subprocess.Popen[bytes]:
        """With the certificate of the cluster, of which 127.0.0.1 is one of the names here."""
        home = self.folder / str(number)
        home.mkdir()
        certificates = {name: (self.folder / name).read_text() for name in ("nats_ca", "nats_cert", "nats_key")}
        for name, text in {**self._texts, **certificates}.items():
            (home / name).write_text(self._here(text, home, number))
        command = [binaries.nats_server(), "-c", home / "cluster.conf"]
        with (home / "log").open("wb") as log:
            return subprocess.Popen(command, env={**os.environ, "POD_NAME": f"nats-{number}"}, stdout=log, stderr=log)

    def _here(self, text: str, home: Path, number: int) -> str:
        client, monitor, peer = (ports[number] for ports in self._ports)
        for other in range(3):
            text = text.replace(f"nats://nats-{other}.nats-peers:6222", f"nats://127.0.0.1:{self._ports[2][other]}")
        text = text.replace("/run/secrets", str(home)).replace("/var/tmp", str(home / "data"))
        text = text.replace("0.0.0.0:6222", f"127.0.0.1:{peer}").replace("127.0.0.1:8222", f"127.0.0.1:{monitor}")
        return text.replace("0.0.0.0", "127.0.0.1").replace('"port": 4222', f'"port": {client}')


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _decoded(cluster: Cluster, start: str) -> dict[str, str]:
    found = next(one for name, one in cluster.of("Secret") if name.startswith(start))
    return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


def _plain(cluster: Cluster, start: str) -> dict[str, str]:
    return dict(next(one for name, one in cluster.of("ConfigMap") if name.startswith(start))["data"])


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[Peers]:
    certified = tmp_path / "certified"
    command = [sys.executable, ROOT / "deploy/make_secrets.py", "fx", certified, "--tls", "127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    peers = Peers(cluster("overlays/live"), tmp_path)
    for name in ("nats_ca", "nats_cert", "nats_key"):
        shutil.copyfile(certified / name, tmp_path / name)
    with ExitStack() as running:
        for number in range(3):
            process = peers.start(number)
            running.callback(process.wait)
            running.callback(process.kill)
        yield peers


def provision(peers: Peers) -> None:
    """As the Job does, again and again until the servers have found each other."""
    told = {**cluster("overlays/live").pods["provision"].variables, "BALLAST_NATS_URL": peers.url(0)}
    env = {**os.environ, **{key: value.replace("/run/secrets", str(peers.folder)) for key, value in told.items()}}
    command = [sys.executable, ROOT / "deploy/provision.py"]
    end = time.monotonic() + FORMED_WITHIN_S
    while (done := subprocess.run(command, env=env, capture_output=True, text=True, check=False)).returncode:
        assert time.monotonic() < end, done.stderr


async def replicas(client: Client) -> dict[str | None, int]:
    infos = [await client.jetstream().stream_info(str(stream.name)) for stream in STREAMS]
    return {info.config.name: 1 + len(info.cluster.replicas or ()) for info in infos if info.cluster}


async def test_they_form_a_cluster_over_tls_and_the_job_puts_every_stream_on_all_three(peers: Peers) -> None:
    await asyncio.to_thread(provision, peers)

    login = Login(peers.url(2), ADMIN, read_seed(peers.folder / "nats_admin"), peers.folder / "nats_ca")
    assert await once(login, replicas) == {stream.name: 3 for stream in STREAMS}
