"""Manifests in agreement with themselves, and hardened."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from tools.kubernetes.model import SECRETS, Cluster, Object, Pod, selects


def selectors(cluster: Cluster) -> Iterator[str]:
    for pod in cluster.pods.values():
        if "selector" in pod.owner["spec"] and not selects(pod.owner["spec"]["selector"], pod.labels):
            yield f"{pod.name}: its selector does not match its own pods"
        for spread in pod.spec.get("topologySpreadConstraints", []):
            if not selects(spread["labelSelector"], pod.labels):
                yield f"{pod.name}: spreads other pods than its own"
    for kind in ("Service", "PodDisruptionBudget"):
        for name, one in cluster.of(kind):
            if len(cluster.selected(one["spec"]["selector"])) != 1:
                yield f"{kind} {name}: selects the pods of {len(cluster.selected(one['spec']['selector']))} workloads, not of one"
    for pod in cluster.pods.values():
        budgets = (one for _, one in cluster.of("PodDisruptionBudget") if selects(one["spec"]["selector"], pod.labels))
        if pod.owner["kind"] != "Job" and not any(budgets):
            yield f"{pod.name}: no PodDisruptionBudget"


def ports(cluster: Cluster) -> Iterator[str]:
    for name, service in cluster.of("Service"):
        for pod in cluster.selected(service["spec"]["selector"]):
            for port in service["spec"]["ports"]:
                if pod.ports.get(port["targetPort"]) != port["port"]:
                    yield f"Service {name}: port {port['port']} is not what {pod.name} calls {port['targetPort']}"


def mounts(cluster: Cluster) -> Iterator[str]:
    for pod in cluster.pods.values():
        claims = [claim["metadata"]["name"] for claim in pod.owner["spec"].get("volumeClaimTemplates", [])]
        known = {*claims, *(volume["name"] for volume in pod.spec.get("volumes", []))}
        yield from (
            f"{pod.name}: mounts {mount['name']}, which is no volume of it"
            for container in pod.containers
            for mount in container.get("volumeMounts", [])
            if mount["name"] not in known
        )
        for kind, name, given in _inputs(cluster, pod):
            if given is None and cluster.complete:
                yield f"{pod.name}: there is no {kind} {name}"
        files = set().union(*(given or set() for _, _, given in _inputs(cluster, pod)))
        if cluster.complete:
            yield from (
                f"{pod.name}: reads {SECRETS}{name}, which it is not given" for name in sorted(_read(pod) - files)
            )


def _inputs(cluster: Cluster, pod: Pod) -> Iterator[tuple[str, str, set[str] | None]]:
    """Secrets and ConfigMaps of its volumes, with their keys."""
    for volume in pod.spec.get("volumes", []):
        for source in volume.get("projected", {}).get("sources", [volume]):
            if "secret" in source:
                name = source["secret"].get("secretName") or source["secret"]["name"]
                yield "Secret", name, cluster.keys("Secret", name)
            elif "configMap" in source:
                yield "ConfigMap", source["configMap"]["name"], cluster.keys("ConfigMap", source["configMap"]["name"])


def _read(pod: Pod) -> set[str]:
    """Names below /run/secrets that its variables and its command line speak of."""
    words = [*pod.variables.values(), *pod.app.get("command", []), *pod.app.get("args", [])]
    return {name for word in words for name in re.findall(rf"{SECRETS}([a-z_.]+)", word)}


def policies(cluster: Cluster) -> Iterator[str]:
    if not cluster.complete:
        return
    found = list(cluster.of("NetworkPolicy"))
    for way in ("Ingress", "Egress"):
        denies = [one for _, one in found if not one["spec"]["podSelector"] and way in one["spec"]["policyTypes"]]
        if not any(way.lower() not in one["spec"] for one in denies):
            yield f"no NetworkPolicy denies {way.lower()} to every pod"
    for name, one in found:
        chosen = one["spec"]["podSelector"]
        if not cluster.selected(chosen):
            yield f"NetworkPolicy {name}: selects no pod"
        for way, side in (("ingress", "from"), ("egress", "to")):
            for rule in one["spec"].get(way) or []:
                yield from _peers(cluster, name, rule, side)


def _peers(cluster: Cluster, name: str, rule: Object, side: str) -> Iterator[str]:
    for peer in rule.get(side, []):
        if "podSelector" in peer and "namespaceSelector" not in peer and not cluster.selected(peer["podSelector"]):
            yield f"NetworkPolicy {name}: {peer['podSelector']} matches no pod"


def policy_ports(cluster: Cluster) -> Iterator[str]:
    """Where all components are: what may be reached is listened on."""
    if cluster.name != "overlays/live":
        return
    for name, one in cluster.of("NetworkPolicy"):
        for rule in one["spec"].get("ingress") or []:
            chosen = cluster.selected(one["spec"]["podSelector"])
            yield from _closed(name, rule, chosen)
        for rule in one["spec"].get("egress") or []:
            peers = [peer["podSelector"] for peer in rule.get("to", []) if set(peer) == {"podSelector"}]
            for peer in peers:
                yield from _closed(name, rule, cluster.selected(peer))


def _closed(name: str, rule: Object, pods: list[Pod]) -> Iterator[str]:
    opened = {port for pod in pods for item in pod.ports.items() for port in item}
    for port in rule.get("ports", []):
        if pods and port["port"] not in opened:
            yield f"NetworkPolicy {name}: nobody of {[pod.name for pod in pods]} listens on {port['port']}"


def _every(check: Callable[[Object], bool]) -> Callable[[Pod], bool]:
    return lambda pod: all(check(container) for container in pod.containers)


def _security(container: Object) -> Object:
    return dict(container.get("securityContext", {}))


HARDENED: Final[tuple[tuple[str, Callable[[Pod], bool]], ...]] = (
    ("runAsNonRoot", lambda pod: pod.spec["securityContext"].get("runAsNonRoot") is True),
    ("a user of its own", lambda pod: pod.spec["securityContext"].get("runAsUser", 0) > 10_000 or pod.name == "postgres"),
    ("seccomp RuntimeDefault", lambda pod: pod.spec["securityContext"].get("seccompProfile", {}).get("type") == "RuntimeDefault"),
    ("automountServiceAccountToken: false", lambda pod: pod.spec.get("automountServiceAccountToken") is False),
    ("enableServiceLinks: false", lambda pod: pod.spec.get("enableServiceLinks") is False),
    ("a service account of its own", lambda pod: pod.spec.get("serviceAccountName") == pod.name),
    ("a read-only root", _every(lambda one: _security(one).get("readOnlyRootFilesystem") is True)),
    ("no privilege escalation", _every(lambda one: _security(one).get("allowPrivilegeEscalation") is False)),
    ("no capabilities", _every(lambda one: _security(one).get("capabilities") == {"drop": ["ALL"]})),
    ("a bound on processor and memory", _every(lambda one: set(one["resources"]["limits"]) >= {"cpu", "memory"})),
    ("requests", _every(lambda one: set(one["resources"]["requests"]) >= {"cpu", "memory"})),
    ("no host's namespaces or folders", lambda pod: not re.search(r"'host(Path|Network|PID|IPC|Port)'", str(pod.spec))),
    (
        "a bound on every emptyDir",
        lambda pod: all("sizeLimit" in one["emptyDir"] for one in pod.spec.get("volumes", []) if "emptyDir" in one),
    ),
)  # fmt: skip


def hardened(cluster: Cluster) -> Iterator[str]:
    for pod in cluster.pods.values():
        yield from (f"{pod.name}: lacks {what}" for what, holds in HARDENED if not holds(pod))
    for name, one in cluster.of("ServiceAccount"):
        if one.get("automountServiceAccountToken") is not False:
            yield f"ServiceAccount {name}: lacks automountServiceAccountToken: false"
    for name, one in cluster.of("Namespace"):
        if one["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"Namespace {name}: does not enforce the restricted pod security"
