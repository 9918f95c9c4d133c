"""Who connects to whom: one table for NetworkPolicies, tests and the docs (tools/permissions.py). What is not here is refused."""

from __future__ import annotations

from typing import Final, NamedTuple

from common.contracts import INPUTS

SERVICE_PORT: Final = 8080  # of every service in a container: health, metrics, and the gateway's pages
NATS_PORT: Final = 4222

PEOPLE: Final = "people"  # from outside, through whatever stands in front of the deployment
OUTSIDE: Final = "outside"  # any host on the internet

SERVICES: Final = tuple(name for name in INPUTS if name != "operator")  # what is deployed: the operator is a person


class Connection(NamedTuple):
    """`client` opens it to `port` of `server`. Without `in_cluster` the manifests for Kubernetes leave it to the owner."""

    client: str
    server: str
    port: int
    why: str
    in_cluster: bool = True


CONNECTIONS: Final = (
    *(Connection(service, "nats", NATS_PORT, "the tape") for service in SERVICES),
    Connection("provision", "nats", NATS_PORT, "makes the streams, then ends"),
    Connection("nats", "nats", 6222, "replicates the tape, where there are several servers"),
    Connection("execution", "postgres", 5432, "order intents, written before the venue hears of them"),
    Connection("recorder", "postgres", 5432, "history, written"),
    Connection("gateway", "postgres", 5432, "history, read only"),
    Connection("recorder", "redis", 6379, "hot state, written"),
    Connection("gateway", "redis", 6379, "hot state, read"),
    Connection(PEOPLE, "gateway", SERVICE_PORT, "pages and API", in_cluster=False),
    *(Connection("prometheus", service, SERVICE_PORT, "metrics") for service in SERVICES),
    Connection("prometheus", "alertmanager", 9093, "alerts"),
    Connection("alertmanager", OUTSIDE, 443, "alerts, to a webhook"),
    Connection("grafana", "prometheus", 9090, "what the dashboards show"),
    *(Connection(service, "collector", 4318, "traces, where they are on", in_cluster=False) for service in SERVICES),
    Connection("collector", "jaeger", 4317, "traces, where they are on", in_cluster=False),
)
