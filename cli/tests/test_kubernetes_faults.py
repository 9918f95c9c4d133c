"""The checks of deploy/k8s find what they are for: one planted fault each."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from support.manifests import cluster, needs_kubectl
from tools.kubernetes.checks import RULES, VERSIONS, complaints, invalid
from tools.kubernetes.model import Cluster, Object, selects
from tools.kubernetes.reach import reach

pytestmark = [pytest.mark.req("PLT-05"), needs_kubectl]

NAME = "app.kubernetes.io/name"


@pytest.fixture(scope="module")
def live() -> Cluster:
    return cluster("overlays/live")


Find = Callable[[str, str], Object]


def edited(cluster: Cluster, change: Callable[[Find], Any]) -> Cluster:
    """A copy in which `change` was made; it is given a function that finds an object by kind and the start of its name."""
    objects = deepcopy(cluster.objects)

    def find(kind: str, name: str) -> Object:
        return next(one for one in objects if one["kind"] == kind and one["metadata"]["name"].startswith(name))

    gone = change(find)
    kept = tuple(one for one in objects if one is not gone)
    return replace(cluster, objects=kept)


def pod(find: Find, name: str, kind: str = "Deployment") -> Object:
    return find(kind, name)["spec"]["template"]["spec"]  # type: ignore[no-any-return]


def app(find: Find, name: str, kind: str = "Deployment") -> Object:
    return pod(find, name, kind)["containers"][0]  # type: ignore[no-any-return]


def variable(find: Find, name: str, key: str, kind: str = "Deployment") -> Object:
    return next(one for one in app(find, name, kind)["env"] if one["name"] == key)


def _without(one: Object, key: str) -> None:
    del one[key]


FAULTS: dict[str, Callable[[Find], Any]] = {
    "regime: its selector does not match its own pods": lambda find: find("Deployment", "regime")["spec"]["template"][
        "metadata"
    ]["labels"].update({"app.kubernetes.io/name": "regimes"}),
    "execution: spreads other pods than its own": lambda find: pod(find, "execution", "StatefulSet")[
        "topologySpreadConstraints"
    ][0].update(labelSelector={"matchLabels": {"app.kubernetes.io/name": "risk-guardian"}}),
    "Service recorder: selects the pods of 0 workloads": lambda find: find("Service", "recorder")["spec"].update(
        selector={"app.kubernetes.io/name": "recorders"}
    ),
    "PodDisruptionBudget nats: selects the pods of 15 workloads": lambda find: find("PodDisruptionBudget", "nats")[
        "spec"
    ].update(selector={"matchLabels": {}}),
    "redis: no PodDisruptionBudget": lambda find: find("PodDisruptionBudget", "redis"),
    "Service gateway: port 80 is not what gateway calls http": lambda find: find("Service", "gateway")["spec"]["ports"][
        0
    ].update(port=80),
    "signals: mounts home, which is no volume of it": lambda find: app(find, "signals")["volumeMounts"][0].update(
        name="home"
    ),
    "there is no Secret risk-guardian": lambda find: find("Secret", "risk-guardian"),
    "recorder: reads /run/secrets/redis_url, which it is not given": lambda find: _without(
        find("Secret", "recorder")["data"], "redis_url"
    ),
    "redis: reads /run/secrets/redis_conf, which it is not given": lambda find: _without(
        find("Secret", "redis")["data"], "redis_conf"
    ),
    "no NetworkPolicy denies ingress to every pod": lambda find: find("NetworkPolicy", "default-deny"),
    "NetworkPolicy nats: selects no pod": lambda find: find("NetworkPolicy", "nats")["spec"]["podSelector"][
        "matchLabels"
    ].update({"app.kubernetes.io/name": "natz"}),
    "NetworkPolicy nats: {'matchLabels': {'app.kubernetes.io/name': 'natz'}} matches no pod": lambda find: find(
        "NetworkPolicy", "nats"
    )["spec"]["egress"][0]["to"][0]["podSelector"]["matchLabels"].update({"app.kubernetes.io/name": "natz"}),
    "NetworkPolicy nats: nobody of ['nats'] listens on 6223": lambda find: find("NetworkPolicy", "nats")["spec"][
        "ingress"
    ][1]["ports"][0].update(port=6223),
    "NetworkPolicy: grafana cannot reach prometheus at 9090": lambda find: find("NetworkPolicy", "grafana"),
    "portfolio is missing": lambda find: find("Deployment", "portfolio"),
    "regime: runs the image ballast/signals": lambda find: app(find, "regime").update(image="ballast/signals:0.1.0"),
    "regime: image ballast/regime:latest, expected a tag": lambda find: app(find, "regime").update(
        image="ballast/regime:latest"
    ),
    "nats: image nats, expected a tag": lambda find: app(find, "nats", "StatefulSet").update(image="nats"),
    "regime: nothing reads BALLAST_NATS_PASSWORD_FILE": lambda find: variable(
        find, "regime", "BALLAST_NATS_SEED_FILE"
    ).update(name="BALLAST_NATS_PASSWORD_FILE"),
    "regime: BALLAST_NATS_SEED_FILE: not set": lambda find: variable(find, "regime", "BALLAST_NATS_SEED_FILE").update(
        value=""
    ),
    "regime: must log in to NATS under its own name": lambda find: variable(find, "regime", "BALLAST_NATS_USER").update(
        value="signals"
    ),
    "regime: cannot be reached at 127.0.0.1": lambda find: variable(find, "regime", "BALLAST_HTTP_HOST").update(
        value="127.0.0.1"
    ),
    "provision: nothing reads BALLAST_NATS_COPIES": lambda find: variable(
        find, "provision", "BALLAST_NATS_REPLICAS", "Job"
    ).update(name="BALLAST_NATS_COPIES"),
    "regime: its port {'http': 8000} is not the one": lambda find: app(find, "regime")["ports"][0].update(
        containerPort=8000
    ),
    "prometheus: no livenessProbe": lambda find: _without(app(find, "prometheus", "StatefulSet"), "livenessProbe"),
    "gateway: readinessProbe asks for /healthz, expected /health/ready": lambda find: app(find, "gateway")[
        "readinessProbe"
    ]["httpGet"].update(path="/healthz"),
    "gateway: readinessProbe asks at port metrics": lambda find: app(find, "gateway")["readinessProbe"][
        "httpGet"
    ].update(port="metrics"),
    "gateway: livenessProbe calls it None, a name that it refuses": lambda find: _without(
        app(find, "gateway")["livenessProbe"]["httpGet"], "httpHeaders"
    ),
    "execution: expected a StatefulSet of a leader and a standby": lambda find: find("StatefulSet", "execution")[
        "spec"
    ].update(replicas=1),
    "execution: BALLAST_INSTANCE must be the name of the pod": lambda find: variable(
        find, "execution", "BALLAST_INSTANCE", "StatefulSet"
    )["valueFrom"]["fieldRef"].update(fieldPath="spec.nodeName"),
    "regime: one at a time": lambda find: find("Deployment", "regime")["spec"].update(replicas=2),
    "signals: one at a time": lambda find: find("Deployment", "signals")["spec"].update(strategy={}),
    "regime: less than 15 s to stop": lambda find: pod(find, "regime").update(terminationGracePeriodSeconds=5),
    "HorizontalPodAutoscaler gateway: only gateway may be scaled": lambda find: find(
        "HorizontalPodAutoscaler", "gateway"
    )["spec"]["scaleTargetRef"].update(name="execution"),
    "grafana: only in docker-compose.yml": lambda find: find("Deployment", "grafana"),
    "redis: image redis:6-alpine, in docker-compose.yml redis:7-alpine": lambda find: app(find, "redis").update(
        image="redis:6-alpine"
    ),
    "regime: BALLAST_NATS_URL is nats://tape:4222, in docker-compose.yml nats://nats:4222": lambda find: variable(
        find, "regime", "BALLAST_NATS_URL"
    ).update(value="nats://tape:4222"),
    "recorder: BALLAST_EXTRA is 1, in docker-compose.yml None": lambda find: app(find, "recorder")["env"].append(
        {"name": "BALLAST_EXTRA", "value": "1"}
    ),
    "slo.yml: not listed in the kustomization.yaml beside it": lambda find: _without(
        find("ConfigMap", "prometheus-rules")["data"], "slo.yml"
    ),
    "risk.json: not listed in the kustomization.yaml beside it": lambda find: _without(
        find("ConfigMap", "grafana-dashboards")["data"], "risk.json"
    ),
    "larger than a ConfigMap may be": lambda find: find("ConfigMap", "config")["data"].update(more="x" * 2**20),
    "regime: lacks runAsNonRoot": lambda find: pod(find, "regime")["securityContext"].update(runAsNonRoot=False),
    "regime: lacks a user of its own": lambda find: pod(find, "regime")["securityContext"].update(runAsUser=1000),
    "nats: lacks seccomp RuntimeDefault": lambda find: _without(
        pod(find, "nats", "StatefulSet")["securityContext"], "seccompProfile"
    ),
    "provision: lacks automountServiceAccountToken: false": lambda find: _without(
        pod(find, "provision", "Job"), "automountServiceAccountToken"
    ),
    "redis: lacks enableServiceLinks: false": lambda find: _without(pod(find, "redis"), "enableServiceLinks"),
    "regime: lacks a service account of its own": lambda find: pod(find, "regime").update(serviceAccountName="default"),
    "grafana: lacks a read-only root": lambda find: app(find, "grafana")["securityContext"].update(
        readOnlyRootFilesystem=False
    ),
    "regime: lacks no privilege escalation": lambda find: _without(
        app(find, "regime")["securityContext"], "allowPrivilegeEscalation"
    ),
    "regime: lacks no capabilities": lambda find: app(find, "regime")["securityContext"]["capabilities"].update(
        add=["NET_RAW"]
    ),
    "regime: lacks a bound on processor and memory": lambda find: _without(
        app(find, "regime")["resources"]["limits"], "memory"
    ),
    "regime: lacks requests": lambda find: app(find, "regime")["resources"].update(requests={"cpu": "1"}),
    "regime: lacks no host's namespaces or folders": lambda find: pod(find, "regime").update(hostNetwork=True),
    "regime: lacks a bound on every emptyDir": lambda find: pod(find, "regime")["volumes"].append(
        {"name": "scratch", "emptyDir": {}}
    ),
    "ServiceAccount regime: lacks": lambda find: _without(
        find("ServiceAccount", "regime"), "automountServiceAccountToken"
    ),
    "Namespace ballast-live: does not enforce": lambda find: _without(
        find("Namespace", "ballast")["metadata"]["labels"], "pod-security.kubernetes.io/enforce"
    ),
}


@pytest.mark.parametrize("expected", FAULTS)
def test_a_planted_fault_is_found(live: Cluster, expected: str) -> None:
    found = list(complaints([edited(live, FAULTS[expected])]))

    assert any(expected in sentence for sentence in found), found


def test_a_service_that_prometheus_does_not_know_is_found(live: Cluster) -> None:
    prometheus = deepcopy(live.facts.prometheus)
    prometheus["scrape_configs"][0]["dns_sd_configs"][0]["names"].remove("regime")

    found = list(complaints([replace(live, facts=replace(live.facts, prometheus=prometheus))]))

    assert found == ["overlays/live: prometheus.yml: regime is scraped but not ours, or not scraped"]


def test_without_policies_everybody_reaches_everybody_and_that_is_found(live: Cluster) -> None:
    opened = replace(live, objects=tuple(one for one in live.objects if one["kind"] != "NetworkPolicy"))

    found = list(reach(opened))

    assert "NetworkPolicy: regime can reach postgres at 5432" in found
    assert not any("cannot" in sentence for sentence in found)


def test_with_nothing_but_the_denial_nobody_reaches_anybody_and_that_is_found(live: Cluster) -> None:
    closed = replace(live, objects=tuple(one for one in live.objects if not _allows(one)))

    found = list(reach(closed))

    assert "NetworkPolicy: risk-guardian cannot reach nats at 4222" in found
    assert not any(" can reach " in sentence for sentence in found)


def _allows(one: Object) -> bool:
    return one["kind"] == "NetworkPolicy" and bool(one["spec"]["podSelector"])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, True),
        ({"ports": [{"port": 4222}]}, True),
        ({"ports": [{"port": "client"}]}, True),
        ({"ports": [{"port": 6222}]}, False),
        ({"from": [{"podSelector": {"matchLabels": {NAME: "regime"}}}]}, True),
        ({"from": [{"podSelector": {"matchLabels": {NAME: "signals"}}}]}, False),
        ({"from": [{"namespaceSelector": {"matchLabels": {"name": "other"}}}]}, False),
        ({"from": [{"namespaceSelector": {}}]}, True),
        (
            {"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]},
            False,
        ),  # of other machines; pods are chosen by their labels here
        ({"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"podSelector": {}}]}, True),
    ],
)
def test_a_policy_is_read_as_kubernetes_reads_it(live: Cluster, rule: Object, expected: bool) -> None:
    policy = {
        "kind": "NetworkPolicy",
        "metadata": {"name": "one"},
        "spec": {"podSelector": {"matchLabels": {NAME: "nats"}}, "policyTypes": ["Ingress"], "ingress": [rule]},
    }
    others = (one for one in live.objects if one["kind"] != "NetworkPolicy")

    found = list(reach(replace(live, objects=(*others, policy))))

    assert ("NetworkPolicy: regime cannot reach nats at 4222" not in found) is expected


def test_every_rule_finds_one_of_the_planted_faults(live: Cluster) -> None:
    broken = [edited(live, change) for change in FAULTS.values()]

    assert [rule.__name__ for rule in RULES if not any(list(rule(one)) for one in broken)] == []


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"a": "1"}, True),
        ({"a": "2"}, False),
        ({"matchLabels": {"a": "1", "b": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
    ],
)
def test_a_selector_is_read_as_kubernetes_reads_it(selector: Object, expected: bool) -> None:
    assert selects(selector, {"a": "1"}) is expected


def test_an_unknown_field_is_found_on_every_version(live: Cluster) -> None:
    broken = edited(live, lambda one: one("Deployment", "regime")["spec"].update(replica=2))

    assert len(list(invalid([broken]))) == len(VERSIONS)
    assert all("'replica' was unexpected" in sentence for sentence in invalid([broken]))
