"""Who can connect to whom under the NetworkPolicies of a rendering: exactly those who must, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from tools.kubernetes.model import SERVICES, Cluster, Object, Pod, selects

from common.runtime import environment

Edge = tuple[str, str, int]  # from, to, port

# A variable that tells of a server, and the server's pod with its port.
SERVERS: Final = {environment.REDIS_URL_FILE: ("redis", 6379), environment.POSTGRES_DSN_FILE: ("postgres", 5432)}
WATCHING: Final[tuple[Edge, ...]] = (("prometheus", "alertmanager", 9093), ("grafana", "prometheus", 9090))
ROUTES: Final[Edge] = ("nats", "nats", 6222)


def reach(cluster: Cluster) -> Iterator[str]:
    if not cluster.complete:
        return
    must, can = set(_must(cluster)), set(_can(cluster))
    yield from (f"NetworkPolicy: {one} cannot reach {other} at {port}" for one, other, port in sorted(must - can))
    yield from (f"NetworkPolicy: {one} can reach {other} at {port}" for one, other, port in sorted(can - must))


def _must(cluster: Cluster) -> Iterator[Edge]:
    yield from WATCHING
    for pod in cluster.pods.values():
        if url := pod.variables.get(environment.NATS_URL):
            place = urlsplit(url)
            yield pod.name, str(place.hostname), place.port or 0
        yield from ((pod.name, *server) for variable, server in SERVERS.items() if variable in pod.variables)
        if pod.service in SERVICES:
            yield from (("prometheus", pod.name, port) for port in pod.ports.values())
    if ROUTES[2] in cluster.pods[ROUTES[0]].ports.values():
        yield ROUTES


def _can(cluster: Cluster) -> Iterator[Edge]:
    policies = [one["spec"] for _, one in cluster.of("NetworkPolicy")]
    for one in cluster.pods.values():
        for other in cluster.pods.values():
            for name, port in other.ports.items():
                out = _lets(policies, "Egress", one, other, (name, port))
                if out and _lets(policies, "Ingress", other, one, (name, port)):
                    yield one.name, other.name, port


def _lets(policies: list[Object], way: str, pod: Pod, peer: Pod, port: tuple[str, int]) -> bool:
    """Whether the policies of `pod` let it talk that way with `peer`. A pod that none of them is about may do anything."""
    about = [one for one in policies if way in one["policyTypes"] and selects(one["podSelector"], pod.labels)]
    side = {"Egress": "to", "Ingress": "from"}[way]
    rules = (rule for one in about for rule in one.get(way.lower()) or [])
    return not about or any(_names(rule.get(side), peer) and _opens(rule.get("ports"), port) for rule in rules)


def _names(peers: list[Object] | None, pod: Pod) -> bool:
    """Whether a pod of this namespace is among them; no list is everybody, a namespace that is named another one."""
    return not peers or any(
        "ipBlock" not in one and not one.get("namespaceSelector") and selects(one.get("podSelector", {}), pod.labels)
        for one in peers
    )


def _opens(ports: list[Object] | None, port: tuple[str, int]) -> bool:
    return not ports or any(one.get("port") in {None, *port} for one in ports)
