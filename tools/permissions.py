"""Writes docs/permissions.md and the NetworkPolicies of deploy/k8s, both from the tables that the code itself obeys.

python tools/permissions.py          write what changed
python tools/permissions.py --check  say what would change; exit code 1 if anything
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from common.contracts import INPUTS, ROUTES, own_pattern, pattern
from common.messages.base import Message
from common.runtime import nats_config
from common.runtime.connections import CONNECTIONS, OUTSIDE, Connection
from common.runtime.nats_config import ADMIN, STREAMS, USERS

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs/permissions.md"
POLICIES: Final = ROOT / "deploy/k8s/components/network-policies/policies.yaml"

HEARS_ALL: Final = tuple(user for user, inputs in INPUTS.items() if len(inputs) == len(ROUTES))
NAME: Final = "app.kubernetes.io/name"
LABELS: Final = {"app.kubernetes.io/part-of": "ballast"}
# CoreDNS, and the cache that some clusters keep on every machine.
RESOLVERS: Final = (
    {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},
    {"ipBlock": {"cidr": "169.254.20.10/32"}},
)
# Not where clouds tell whoever asks the machine's own credentials.
INTERNET: Final = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}

HEADER: Final = """\
# Who may do what

Written by `tools/permissions.py` from `common/contracts.py`, `common/runtime/nats_config.py` and `common/runtime/connections.py`, of which
also the configuration of NATS and the NetworkPolicies are made. Tests try every user on every subject
(`tests/integration/test_embedded_permissions.py`).

Every user logs in with an nkey: the seed is a file of its own (`nats_<user>`, named in `BALLAST_NATS_SEED_FILE`), the server knows public
keys only. `admin` provisions and may touch streams, and can say nothing on the tape; `operator` is whoever uses the command line. A service
that is refused something ends with exit code 78 and a sentence that names the user and the subject: its rights and the contracts differ, and
trying again would not help.

Between machines NATS is spoken over TLS: `deploy/make_secrets.py --tls HOST...` makes an authority and a certificate, and clients that are
given `BALLAST_NATS_CA_FILE` begin with the handshake, so that nobody in between can talk them into plain text. A server that Ballast did not
configure needs `handshake_first` in its `tls` block.

What rights on NATS cannot forbid: every user may read the whole tape and all snapshots, and a consumer of the tape may be aimed at any
subject, a heartbeat's or a foreign inbox too. What it delivers keeps its own subject, by which the receivers tell (`nats_tape.py`).
"""


def page() -> str:
    """The whole of docs/permissions.md."""
    parts = [
        HEADER,
        f"## Messages on the tape\n\n{_and(HEARS_ALL).capitalize()} hear all of them.\n",
        _table(("subject", "said by", "heard by"), _messages()),
        "## Beside the tape\n\nEach user's own name is `<user>`, and `>` is anything that follows. Nobody may do anything else.\n",
        _table(("user", "may publish", "may subscribe to"), _users()),
        f"## Streams\n\nOnly `{ADMIN}` makes, changes or empties them.\n",
        _table(("stream", "subjects"), ((f"`{one.name}`", _code(one.subjects or ())) for one in STREAMS)),
        "## Connections\n\nNothing else is let through; everybody may resolve names. `people` and `outside` are no containers.\n",
        _table(("from", "to", "port", "why", "NetworkPolicy"), _connections()),
    ]
    return "\n".join(parts)


def policies() -> str:
    """The whole of policies.yaml."""
    known = [one for one in CONNECTIONS if one.in_cluster]
    names = dict.fromkeys(name for one in known for name in (one.client, one.server) if name != OUTSIDE)
    documents = [_policy("default-deny", {}), _dns(), *(_of_pod(name, known) for name in names)]
    text = yaml.safe_dump_all(documents, sort_keys=False, width=120)
    return f"# Written by tools/permissions.py from common/runtime/connections.py. What is not here is refused.\n{text}"


def pod_name(name: str) -> str:
    """Kubernetes knows no underscores."""
    return name.replace("_", "-")


def _messages() -> Iterator[tuple[str, ...]]:
    for message, route in ROUTES.items():
        subjects = {own_pattern(message, publisher) for publisher in route.publishers}
        shown = pattern(message) if len(subjects) == 1 else f"{message.TYPE}.<service>.>"
        hearers = [user for user, inputs in INPUTS.items() if message in inputs and user not in HEARS_ALL]
        yield f"`{shown}`", ", ".join(route.publishers), ", ".join(hearers)


def _users() -> Iterator[tuple[str, ...]]:
    """What all services have in common once, under the name `<user>`."""
    publish = {user: _renamed(nats_config.may_publish(user), user) for user in USERS}
    subscribe = {user: _renamed(nats_config.may_subscribe(user), user) for user in USERS}
    ours = [user for user in USERS if user != ADMIN]
    everybody = tuple(_common([table[user] for user in ours]) for table in (publish, subscribe))
    yield f"all but {ADMIN}", *map(_code, everybody)
    said = {name for message, route in ROUTES.items() for user in route.publishers for name in _own(message, user)}
    for user in USERS:
        known = (*said, *(everybody[0] if user in ours else ())), everybody[1] if user in ours else ()
        tables = zip((publish[user], subscribe[user]), known, strict=True)
        yield user, *(_code(name for name in names if name not in shown) for names, shown in tables)


def _own(message: type[Message], user: str) -> list[str]:
    return _renamed([own_pattern(message, user)], user)


def _renamed(names: Iterable[str], user: str) -> list[str]:
    return [re.sub(rf"(?<=[._]){user}(?=\.|$)", "<user>", name) for name in names]


def _common(lists: Sequence[Sequence[str]]) -> list[str]:
    return [name for name in lists[0] if all(name in each for each in lists)]


def _connections() -> Iterator[tuple[str, ...]]:
    together: dict[tuple[str, int, str, bool], list[str]] = {}  # those who do the same share a row
    for one in CONNECTIONS:
        both = f"{one.server}" if one.client != "prometheus" or one.port != 8080 else "every service"
        together.setdefault((both, one.port, one.why, one.in_cluster), []).append(one.client)
    for (server, port, why, in_cluster), clients in together.items():
        yield (
            ", ".join(dict.fromkeys(clients)),
            server,
            str(port),
            why,
            "" if in_cluster else "yours, where you want it",
        )


def _of_pod(name: str, known: Sequence[Connection]) -> dict[str, Any]:
    ingress = _rules("from", ((one.client, one.port) for one in known if one.server == name))
    egress = _rules("to", ((one.server, one.port) for one in known if one.client == name))
    return _policy(pod_name(name), {"matchLabels": {NAME: pod_name(name)}}, ingress=ingress, egress=egress)


def _rules(side: str, peers: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    """One for each port."""
    by_port: dict[int, list[dict[str, Any]]] = {}
    for name, port in peers:
        by_port.setdefault(port, []).append(INTERNET if name == OUTSIDE else _pod(name))
    return [{side: found, "ports": [{"port": port, "protocol": "TCP"}]} for port, found in by_port.items()]


def _pod(name: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": {NAME: pod_name(name)}}}


def _dns() -> dict[str, Any]:
    ports = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    return _policy("dns", {}, egress=[{"to": list(RESOLVERS), "ports": ports}])


def _policy(name: str, pods: dict[str, Any], **rules: list[dict[str, Any]]) -> dict[str, Any]:
    """Each way that has rules, or both are denied where there are none at all."""
    given = {way: found for way, found in rules.items() if found}
    types = [way.capitalize() for way in given] or ["Ingress", "Egress"]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": dict(LABELS)},
        "spec": {"podSelector": pods, "policyTypes": types, **given},
    }


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _code(words: Iterable[str]) -> str:
    return " ".join(f"`{word}`" for word in words)


def _and(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def main(arguments: Sequence[str]) -> int:
    wanted = {PAGE: page(), POLICIES: policies()}
    changed = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in changed:
            print(f"{path.relative_to(ROOT)} is out of date; run `make permissions`", file=sys.stderr)
        return 1 if changed else 0
    for path in changed:
        path.write_text(wanted[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
