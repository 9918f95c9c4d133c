"""Manifests in agreement with the code, with docker-compose.yml and with what watches them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tools.kubernetes.model import SERVICES, STATELESS, Cluster

from common.contracts import LEASED
from common.errors import ConfigError
from common.runtime import environment
from common.runtime.environment import Environment
from gateway.auth import PASSWORD_FILE

MIN_GRACE_S: Final = 15  # the shell takes at most 10 s to stop
MAX_CONFIG_MAP: Final = 2**20
# Variables that our images read, by their own word.
KNOWN: Final = {
    value for value in vars(environment).values() if isinstance(value, str) and value.startswith("BALLAST_")
} | {PASSWORD_FILE}
PROVISION: Final = {environment.NATS_URL, environment.NATS_SEED_FILE, environment.NATS_CA_FILE, "BALLAST_NATS_REPLICAS"}
# What one machine does without: names of pods, TLS, several servers; a disk with a folder of its own in it; the size of a pod.
ONLY_HERE: Final = {
    environment.INSTANCE,
    environment.NATS_CA_FILE,
    "BALLAST_NATS_REPLICAS",
    "POD_NAME",
    "PGDATA",
    "TS_TUNE_MEMORY",
    "TS_TUNE_NUM_CPUS",
}


def presence(cluster: Cluster) -> Iterator[str]:
    yield from (f"{name} is missing" for name in SERVICES if name not in cluster.services)
    for name, pod in cluster.services.items():
        if not re.fullmatch(rf"(.*/)?ballast/{name}", _repository(pod.app["image"])):
            yield f"{pod.name}: runs the image {pod.app['image']}"
    if cluster.complete:
        for pod in cluster.pods.values():
            tag = pod.app["image"].removeprefix(_repository(pod.app["image"]))
            wanted = f":{cluster.facts.version}" if "ballast/" in pod.app["image"] else ""
            if not tag or tag == ":latest" or (wanted and tag != wanted):
                yield f"{pod.name}: image {pod.app['image']}, expected a tag{wanted and ' ' + wanted}"


def _repository(image: str) -> str:
    return re.sub(r"(@sha256:[0-9a-f]{64}|:[\w.-]+)$", "", image)


def variables(cluster: Cluster) -> Iterator[str]:
    for pod in cluster.pods.values():
        yield from (
            f"{pod.name}: nothing reads {name}"
            for name in pod.variables
            if name.startswith("BALLAST_") and name not in (PROVISION if pod.name == "provision" else KNOWN)
        )
    for name, pod in cluster.services.items():
        try:
            told = Environment.from_os({**cluster.facts.image(name), **pod.variables})
        except ConfigError as error:
            yield f"{pod.name}: {error}"
            continue
        if told.nats_user != name:
            yield f"{pod.name}: must log in to NATS under its own name"
        if told.http_host != "0.0.0.0":  # noqa: S104 read, not bound
            yield f"{pod.name}: cannot be reached at {told.http_host}"


def ports(cluster: Cluster) -> Iterator[str]:
    for name, pod in cluster.services.items():
        if list(pod.ports.values()) != [int(cluster.facts.image(name)[environment.HTTP_PORT])]:
            yield f"{pod.name}: its port {pod.ports} is not the one the image listens on"


def probes(cluster: Cluster) -> Iterator[str]:
    wanted = {"startupProbe": "/health/ready", "readinessProbe": "/health/ready", "livenessProbe": "/health/live"}
    for pod in cluster.pods.values():
        if pod.owner["kind"] != "Job":
            yield from (f"{pod.name}: no {probe}" for probe in wanted if probe not in pod.app)
    for name, pod in cluster.services.items():
        for probe, path in wanted.items():
            asked = pod.app.get(probe, {}).get("httpGet", {})
            if asked.get("path") != path or path not in cluster.facts.paths[name]:
                yield f"{pod.name}: {probe} asks for {asked.get('path')}, expected {path}"
            if asked.get("port") not in pod.ports:
                yield f"{pod.name}: {probe} asks at port {asked.get('port')}"
            host = {one["name"]: one["value"] for one in asked.get("httpHeaders", [])}.get("Host")
            if name == STATELESS and host != "localhost":
                yield f"{pod.name}: {probe} calls it {host}, a name that it refuses"


def instances(cluster: Cluster) -> Iterator[str]:
    for name, pod in cluster.services.items():
        spec, kind = pod.owner["spec"], pod.owner["kind"]
        if name in LEASED:
            source = {one["name"]: one for one in pod.app["env"]}.get(environment.INSTANCE, {}).get("valueFrom", {})
            if (kind, spec.get("replicas")) != ("StatefulSet", 2):
                yield f"{pod.name}: expected a StatefulSet of a leader and a standby"
            if source.get("fieldRef", {}).get("fieldPath") != "metadata.name":
                yield f"{pod.name}: {environment.INSTANCE} must be the name of the pod"
        elif name != STATELESS and (spec.get("replicas"), spec.get("strategy", {}).get("type")) != (1, "Recreate"):
            yield f"{pod.name}: one at a time: expected one replica and the strategy Recreate"
        if pod.spec.get("terminationGracePeriodSeconds", 30) < MIN_GRACE_S:
            yield f"{pod.name}: less than {MIN_GRACE_S} s to stop"
    for name, one in cluster.of("HorizontalPodAutoscaler"):
        if one["spec"]["scaleTargetRef"]["name"] != STATELESS:
            yield f"HorizontalPodAutoscaler {name}: only {STATELESS} may be scaled"


def compose(cluster: Cluster) -> Iterator[str]:
    if not cluster.complete:
        return
    stanzas = {
        name: one
        for name, one in cluster.facts.compose["services"].items()
        if not name.endswith("_standby") and not one.get("profiles")
    }
    ours = {pod.service: pod for pod in cluster.pods.values()}
    for name in sorted(set(stanzas) ^ set(ours)):
        yield f"{name}: only in {'docker-compose.yml' if name in stanzas else 'Kubernetes'}"
    for name in sorted(set(stanzas) & set(ours)):
        pod, there = ours[name], _default(stanzas[name]["image"])
        same = _repository if "ballast/" in there else str
        if same(pod.app["image"]).removeprefix("docker.io/") != same(there):
            yield f"{name}: image {pod.app['image']}, in docker-compose.yml {there}"
        told = {key: _default(value) for key, value in stanzas[name].get("environment", {}).items()}
        for key in sorted((set(told) | set(pod.variables)) - ONLY_HERE):
            if told.get(key) != pod.variables.get(key):
                yield f"{name}: {key} is {pod.variables.get(key)}, in docker-compose.yml {told.get(key)}"


def _default(value: object) -> str:
    """Of `${NAME:-default}`."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))


def watched(cluster: Cluster) -> Iterator[str]:
    if not cluster.complete:
        return
    ballast = next(one for one in cluster.facts.prometheus["scrape_configs"] if one["job_name"] == "ballast")
    names = {name.replace("-", "_") for one in ballast["dns_sd_configs"] for name in one["names"]}
    names |= {target.split(":")[0] for one in ballast["static_configs"] for target in one["targets"]}
    yield from (
        f"prometheus.yml: {name} is scraped but not ours, or not scraped" for name in sorted(names ^ set(SERVICES))
    )
    for name, one in cluster.of("ConfigMap"):
        if sum(map(len, one.get("data", {}).values())) > MAX_CONFIG_MAP:
            yield f"ConfigMap {name}: larger than a ConfigMap may be"
    shown = {key for name, one in cluster.of("ConfigMap") for key in one.get("data", {})}
    for name in sorted((cluster.facts.rules | cluster.facts.dashboards) - shown):
        yield f"{name}: not listed in the kustomization.yaml beside it"
