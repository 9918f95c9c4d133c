"""All rules, and the schemas of Kubernetes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

import kubernetes_validate.utils  # type: ignore[import-untyped]
import msgspec
from tools.kubernetes import agreement, manifests, reach
from tools.kubernetes.model import Cluster, Rule

VERSIONS: Final = ("1.31", "1.34", "1.37")  # the oldest that is promised, one between, the newest whose schema is known
# It reads the schemas, some megabytes, for every object anew.
kubernetes_validate.utils.schema_contents = cache(kubernetes_validate.utils.schema_contents)

RULES: Final[tuple[Rule, ...]] = (
    manifests.selectors,
    manifests.ports,
    manifests.mounts,
    manifests.policies,
    manifests.policy_ports,
    manifests.hardened,
    reach.reach,
    agreement.presence,
    agreement.variables,
    agreement.ports,
    agreement.probes,
    agreement.instances,
    agreement.compose,
    agreement.watched,
)


def complaints(found: Iterable[Cluster]) -> Iterator[str]:
    """What is wrong, one sentence each, with the rendering's name."""
    for cluster in found:
        for rule in RULES:
            yield from (f"{cluster.name}: {sentence}" for sentence in rule(cluster))


def invalid(found: Iterable[Cluster]) -> Iterator[str]:
    """What the schemas of Kubernetes say, strictly: an unknown field is an error. Every object once, however often it is rendered."""
    seen: set[bytes] = set()
    for cluster in found:
        for one in cluster.objects:
            if (mark := msgspec.json.encode(one, order="sorted")) in seen:
                continue
            seen.add(mark)
            yield from (f"{cluster.name}: {problem}" for version in VERSIONS for problem in _validate(one, version))


def _validate(one: Any, version: str) -> Iterator[str]:
    try:
        kubernetes_validate.validate(one, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        where = ".".join(map(str, error.path))
        yield f"{one['kind']} {one['metadata']['name']} on {version}: {where}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield f"{one['metadata']['name']}: {error.message}"
