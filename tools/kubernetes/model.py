"""Rendered manifests as the rules see them, and what they are held against."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from common.contracts import INPUTS

Object = dict[str, Any]
Labels = Mapping[str, str]
Rule = Callable[["Cluster"], Iterator[str]]

SERVICES: Final = tuple(name for name in INPUTS if name != "operator")
STATELESS: Final = "gateway"  # the one service that keeps nothing, so that there may be any number of it
SECRETS: Final = "/run/secrets/"
WORKLOADS: Final = ("Deployment", "StatefulSet", "Job")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the manifests are held against. `image` are the variables that are set in the image of a service, `paths` what a
    service answers, `rules` and `dashboards` the files that observability shows.
    """

    image: Callable[[str], Mapping[str, str]]
    paths: Mapping[str, frozenset[str]]
    compose: Object
    prometheus: Object
    rules: frozenset[str]
    dashboards: frozenset[str]
    version: str


@dataclass(frozen=True)
class Pod:
    """The pods of one workload."""

    owner: Object

    @property
    def name(self) -> str:
        return str(self.owner["metadata"]["name"])

    @property
    def service(self) -> str:
        """As the code calls it."""
        return self.name.replace("-", "_")

    @property
    def labels(self) -> Labels:
        return dict(self.owner["spec"]["template"]["metadata"]["labels"])

    @property
    def spec(self) -> Object:
        return dict(self.owner["spec"]["template"]["spec"])

    @property
    def containers(self) -> list[Object]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def app(self) -> Object:
        return dict(self.spec["containers"][0])

    @property
    def variables(self) -> dict[str, str]:
        """With the pod's name where a variable takes that."""
        return {one["name"]: one.get("value", f"{self.name}-0") for one in self.app.get("env", [])}

    @property
    def ports(self) -> dict[str, int]:
        return {port["name"]: port["containerPort"] for port in self.app.get("ports", [])}


@dataclass(frozen=True)
class Cluster:
    """One rendering. `complete` where it is an overlay: nothing may be missing in it."""

    name: str
    objects: tuple[Object, ...]
    facts: Facts
    complete: bool

    @cached_property
    def pods(self) -> dict[str, Pod]:
        return {one["metadata"]["name"]: Pod(one) for one in self.objects if one["kind"] in WORKLOADS}

    @cached_property
    def services(self) -> dict[str, Pod]:
        """The pods of our services, by their names in the code."""
        return {pod.service: pod for pod in self.pods.values() if pod.service in SERVICES}

    def of(self, kind: str) -> Iterator[tuple[str, Object]]:
        return ((one["metadata"]["name"], one) for one in self.objects if one["kind"] == kind)

    def keys(self, kind: str, name: str) -> set[str] | None:
        """Of a Secret or ConfigMap; None where it is not there."""
        found = [one for known, one in self.of(kind) if known == name]
        return set(found[0].get("data", {})) | set(found[0].get("binaryData", {})) if found else None

    def selected(self, selector: Object) -> list[Pod]:
        return [pod for pod in self.pods.values() if selects(selector, pod.labels)]


def selects(selector: Object, labels: Labels) -> bool:
    """As Kubernetes would decide; an empty selector takes everything. Raises KeyError for an operator that is not used here."""
    exact = selector.get("matchLabels", {}) if {"matchLabels", "matchExpressions"} & set(selector) else selector
    operators = {"In": True, "NotIn": False}
    return all(labels.get(key) == value for key, value in exact.items()) and all(
        (labels.get(one["key"]) in one["values"]) is operators[one["operator"]]
        for one in selector.get("matchExpressions", [])
    )
