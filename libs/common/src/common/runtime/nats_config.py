"""Who may do what on NATS, worked out from `common.contracts`, and the streams of which everything consists.

A service may say its own messages and nobody else's, write its own snapshot, give its own heartbeat and dead letters, hear
replies in its own inbox, and read the tape. Streams belong to `admin`, who in turn may say nothing on the tape.

What permissions cannot forbid: a consumer may name any subject outside the tape to be delivered to, a heartbeat's too. Such
copies keep the subject they have on the tape, so who listens to a heartbeat must look at the subject of what arrives.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from common.contracts import DOMAINS, INPUTS, LEASED, OPERATORS, own_pattern, publishes
from common.errors import TapeError
from common.runtime import subjects
from common.runtime.login import Login, close, explain, inbox_prefix
from common.runtime.tape import LEASE_TTL_S

T = TypeVar("T")

ADMIN: Final = "admin"
SERVICES: Final = tuple(INPUTS)
USERS: Final = (*SERVICES, ADMIN)

MAX_PAYLOAD_BYTES: Final = 8 * 2**20
MAX_DEAD_LETTERS: Final = 10_000
MIN_VERSION: Final = (2, 12)  # older servers know no atomic batches, and before 2.10 they ignore filter_subjects
# Well below the two minutes in which an id is remembered: what a half-dead connection still holds is never heard after them.
PING_EVERY: Final = "10s"
_SNAPSHOTS_STREAM: Final = f"KV_{subjects.SNAPSHOTS}"
_LEASES_STREAM: Final = f"KV_{subjects.LEASES}"

# Raw quotes travel beside the tape, lossy: who sends them and who looks at them.
RAW: Final = "raw.>"
RAW_PUBLISHERS: Final = ("market_data",)
RAW_SUBSCRIBERS: Final = ("market_data", "risk_guardian", "gateway")

STREAMS: Final = (
    StreamConfig(
        name=subjects.STREAM,
        subjects=[f"{domain}.>" for domain in DOMAINS],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        duplicate_window=120,
        allow_direct=True,
        allow_atomic=True,
        deny_delete=True,
    ),
    StreamConfig(
        name=subjects.DEAD_LETTERS,
        subjects=[subjects.dead_letter(">")],
        storage=StorageType.FILE,
        max_msgs=MAX_DEAD_LETTERS,
        discard=DiscardPolicy.NEW,  # a full stream refuses, so that nothing is lost unseen
        allow_direct=True,
        deny_delete=True,
    ),
    # A key-value bucket, except that no message may roll up what others wrote.
    StreamConfig(
        name=_SNAPSHOTS_STREAM,
        subjects=[f"$KV.{subjects.SNAPSHOTS}.>"],
        storage=StorageType.FILE,
        max_msgs_per_subject=2,
        max_msg_size=MAX_PAYLOAD_BYTES,
        discard=DiscardPolicy.NEW,
        allow_direct=True,
        deny_delete=True,
    ),
    # On disk, although it lives for seconds: its revisions are fencing tokens and must rise for ever.
    StreamConfig(
        name=_LEASES_STREAM,
        subjects=[subjects.lease(">")],
        storage=StorageType.FILE,
        max_msgs_per_subject=1,
        max_age=LEASE_TTL_S,
        duplicate_window=LEASE_TTL_S,
        max_msg_size=1024,
        deny_delete=True,
    ),
)


class Cluster(NamedTuple):
    """One of several servers that replicate the streams. `routes` are the host:port of all of them, its own included."""

    server: str
    port: int
    routes: tuple[str, ...]


class Tls(NamedTuple):
    """Paths where a server finds its certificate, its key, and the authority that signed it and those of its cluster."""

    cert_file: str
    key_file: str
    ca_file: str


def may_publish(user: str) -> list[str]:
    """Subject patterns on which `user` may publish."""
    if user == ADMIN:
        return ["$JS.API.>", "$JS.SNAPSHOT.>"]  # the second: packed streams, in and out, piece by piece
    read = [subjects.STREAM, *([subjects.DEAD_LETTERS] if user in OPERATORS else [])]
    return [
        *(own_pattern(message, user) for message in publishes(user)),
        *([RAW] if user in RAW_PUBLISHERS else []),
        subjects.heartbeat(user),
        subjects.dead_letter(user),
        *_keep_snapshot(user),
        *(_keep_lease(user) if user in LEASED else ()),
        *(subject for stream in read for subject in _read_stream(stream)),
        "$JS.API.INFO",
        "$JS.API.STREAM.NAMES",
    ]


def may_subscribe(user: str) -> list[str]:
    """Subject patterns to which `user` may subscribe. The tape itself is read through the inbox."""
    inbox = f"{inbox_prefix(user)}.>"
    if user == ADMIN:
        return [inbox]
    return [inbox, subjects.heartbeat(">"), *([RAW] if user in RAW_SUBSCRIBERS else [])]


def authorization(keys: Mapping[str, str]) -> dict[str, Any]:
    """The section `authorization` of a nats-server configuration. `keys` has the public nkey of each of USERS."""
    users = [
        {
            "nkey": keys[user],
            "permissions": {"publish": {"allow": may_publish(user)}, "subscribe": {"allow": may_subscribe(user)}},
        }
        for user in USERS
    ]
    return {"timeout": 5, "users": users}


def server_config(
    host: str,
    port: int,
    monitor: str,
    store_dir: str,
    keys: Mapping[str, str],
    cluster: Cluster | None = None,
    tls: Tls | None = None,
) -> dict[str, Any]:
    """A whole nats-server configuration, to be written as JSON, without any secret. `monitor` is the host:port of its HTTP
    endpoints, `keys` are as for `authorization`.
    """
    return {
        "server_name": cluster.server if cluster else "ballast",
        "host": host,
        "port": port,
        "http": monitor,
        "max_payload": MAX_PAYLOAD_BYTES,
        "ping_interval": PING_EVERY,
        **({"cluster": _cluster(host, cluster, tls)} if cluster else {}),
        # "auto": who speaks plain text first is told after 50 ms that TLS is required, instead of hearing nothing at all.
        **({"tls": {"cert_file": tls.cert_file, "key_file": tls.key_file, "handshake_first": "auto"}} if tls else {}),
        "jetstream": {
            "store_dir": store_dir,
            "sync_interval": "always",  # an acknowledged message survives a power failure (docs/adr)
            "max_memory_store": 64 * 2**20,
        },
        "authorization": authorization(keys),
    }


async def provision(client: Client, replicas: int = 1) -> None:
    """Makes the streams, or brings them to what this build expects; what they hold stays. `client` logged in as ADMIN."""
    stream = client.jetstream()
    for config in STREAMS:
        await _ensure(stream, config.evolve(num_replicas=replicas))


async def provision_at(login: Login, replicas: int = 1) -> None:
    """Logs in, as ADMIN, and provisions. Raises TapeError when the server is out of reach or refuses."""
    await once(login, partial(provision, replicas=replicas))


async def begin_new_tape_at(login: Login) -> int:
    """Empties the tape and forgets all snapshots, as ADMIN. Returns the last sequence there was: the new tape goes on behind it."""
    return await once(login, _empty)


async def _empty(client: Client) -> int:
    stream = client.jetstream()
    for name in (_SNAPSHOTS_STREAM, subjects.STREAM):
        await stream.purge_stream(name)
    return (await stream.stream_info(subjects.STREAM)).state.last_seq


async def once(login: Login, work: Callable[[Client], Awaitable[T]]) -> T:
    """Does some work on a connection of its own. Raises TapeError when the server is out of reach or refuses."""
    client = Client()
    try:
        await client.connect(
            login.url.split(","),
            **login.options(),
            allow_reconnect=False,
            max_reconnect_attempts=1,
            error_cb=_ignore,  # what matters is raised as well
        )
        return await work(client)
    except (NatsError, OSError, TimeoutError) as error:
        raise TapeError(f"{login.url} as {login.user}: {explain(error)}") from error
    finally:
        await close(client)


async def _ignore(error: Exception) -> None:
    pass


async def _ensure(stream: JetStreamContext, config: StreamConfig) -> None:
    try:
        await stream.update_stream(config)
    except NotFoundError:
        await stream.add_stream(config)


def _cluster(host: str, cluster: Cluster, tls: Tls | None) -> dict[str, Any]:
    routes = [f"nats://{route}" for route in cluster.routes]
    # Each shows its certificate to the others, as their client.
    secured = {"tls": {**tls._asdict(), "verify": True}} if tls else {}
    return {"name": "ballast", "host": host, "port": cluster.port, "routes": routes, **secured}


def _read_stream(stream: str) -> tuple[str, ...]:
    """What it takes to look messages up and to follow them with an ephemeral push consumer."""
    api = "$JS.API"
    return (
        f"{api}.STREAM.INFO.{stream}",
        f"{api}.STREAM.MSG.GET.{stream}",
        f"{api}.DIRECT.GET.{stream}",
        f"{api}.DIRECT.GET.{stream}.>",
        f"{api}.CONSUMER.CREATE.{stream}",
        f"{api}.CONSUMER.CREATE.{stream}.>",
        f"{api}.CONSUMER.INFO.{stream}.>",
        f"{api}.CONSUMER.DELETE.{stream}.>",
        f"$JS.FC.{stream}.>",
    )


def _keep_snapshot(user: str) -> tuple[str, ...]:
    """Writing one's own key; the key of a lookup by MSG.GET lies in its payload, so that one may read them all."""
    key = f"$KV.{subjects.SNAPSHOTS}.{user}"
    return (
        key,
        f"$JS.API.STREAM.INFO.{_SNAPSHOTS_STREAM}",
        f"$JS.API.STREAM.MSG.GET.{_SNAPSHOTS_STREAM}",
        f"$JS.API.DIRECT.GET.{_SNAPSHOTS_STREAM}.{key}",
    )


def _keep_lease(user: str) -> tuple[str, ...]:
    """Writing one's own; whoever else might hold it is the same user's."""
    return subjects.lease(user), f"$JS.API.STREAM.MSG.GET.{_LEASES_STREAM}"
