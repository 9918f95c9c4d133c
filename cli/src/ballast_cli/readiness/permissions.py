"""Permissions on NATS: every user tries what is another's.

What is published must do no harm where a control is broken: it names a stream that there is not, so that none stores it, and what is
asked of JetStream names nothing that exists.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final, NamedTuple

from nats.aio.client import Client
from nats.errors import Error as NatsError

from ballast_cli.readiness.evidence import Evidence
from ballast_cli.readiness.system import System
from common.contracts import LEASED, ROUTES, own_pattern, pattern
from common.errors import TapeError
from common.messages.orders import OrderApproved
from common.runtime import subjects
from common.runtime.embedded.endpoints import Endpoints
from common.runtime.login import Login, close, explain, inbox_prefix, new_seed
from common.runtime.nats_config import ADMIN, SERVICES, USERS

_DENIED: Final = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"', re.IGNORECASE)
_NOWHERE: Final = {"Nats-Expected-Stream": "READINESS"}
_ONE: Final = "readiness"  # stands for the ids at the end of a subject
# JetStream's own: what takes away or alters. The filter matches nothing, the stream is not there.
_TAPE_API: Final = {
    f"$JS.API.STREAM.PURGE.{subjects.STREAM}": b'{"filter":"readiness.nothing"}',
    "$JS.API.STREAM.DELETE.READINESS": b"",
    "$JS.API.STREAM.CREATE.READINESS": b"{}",
    "$JS.API.CONSUMER.LIST.READINESS": b"",
    "$SYS.REQ.SERVER.PING": b"",
}


class _Tried(NamedTuple):
    publishes: set[str]
    subscribes: set[str]


def permissions(system: System) -> Evidence:
    """Everything of `common.contracts` that is not a user's own, by publishing it; and logins that nobody has."""
    passed_through, tried = asyncio.run(_all(system.endpoints))
    return Evidence(
        passed=not passed_through,
        did=f"tried {tried} foreign subjects under {len(USERS)} users, and logins without a key and with an unknown one",
        saw=f"allowed: {', '.join(passed_through)}" if passed_through else "all refused",
        limit="all refused",
    )


def foreign(user: str) -> _Tried:
    """What `user` must not say, and where it must not listen."""
    own = {own_pattern(message, user) for message, route in ROUTES.items() if user in route.publishers}
    every = {own_pattern(message, name) for message, route in ROUTES.items() for name in route.publishers}
    others = [name for name in SERVICES if name != user]
    kept = {f"$KV.{subjects.SNAPSHOTS}.{name}" for name in others}
    kept |= {subjects.lease(name) for name in LEASED if name != user}
    kept |= {name(other) for other in others for name in (subjects.heartbeat, subjects.dead_letter)}
    api = set() if user == ADMIN else set(_TAPE_API)
    says = {subject.replace(">", f"{_ONE}.{_ONE}") for subject in every - own}
    hears = {f"{inbox_prefix(name)}.>" for name in USERS if name != user} | {pattern(OrderApproved)}
    return _Tried(says | kept | api, hears)


async def _all(endpoints: Endpoints) -> tuple[list[str], int]:
    allowed, tried = [], 0
    for user in USERS:
        wanted = foreign(user)
        tried += len(wanted.publishes) + len(wanted.subscribes)
        allowed += [f"{user}: {what}" for what in await _allowed(endpoints.login(user), wanted)]
    stranger = Login(endpoints.nats_url, "operator", new_seed())
    if await _logs_in(stranger.options(), endpoints.nats_url):
        allowed.append("a login with an unknown key")
    if await _logs_in({}, endpoints.nats_url):
        allowed.append("a login without a key")
    return allowed, tried


async def _allowed(login: Login, wanted: _Tried) -> list[str]:
    """What was not refused."""
    denied: set[str] = set()

    async def note(error: Exception) -> None:
        if found := _DENIED.search(str(error)):
            denied.add(f"{found[1]} {found[2]}".lower())  # the client tells of it in lower case

    client = Client()
    try:
        await client.connect(login.url.split(","), **login.options(), allow_reconnect=False, error_cb=note)
        for subject in sorted(wanted.publishes):
            await client.publish(subject, _TAPE_API.get(subject, b""), headers=dict(_NOWHERE))
        for subject in sorted(wanted.subscribes):
            await client.subscribe(subject)
        await client.flush()
        await client.flush()  # the first PING overtakes what is buffered
    except (NatsError, OSError, TimeoutError) as error:
        raise TapeError(f"{login.url} as {login.user}: {explain(error)}") from error
    finally:
        await close(client)
    said = [subject for subject in sorted(wanted.publishes) if f"publish {subject}".lower() not in denied]
    heard = [subject for subject in sorted(wanted.subscribes) if f"subscription {subject}".lower() not in denied]
    return [*said, *(f"listening to {subject}" for subject in heard)]


async def _logs_in(options: dict[str, Any], url: str) -> bool:
    client = Client()
    try:
        await client.connect(
            url.split(","), **options, allow_reconnect=False, max_reconnect_attempts=1, error_cb=_ignore
        )
    except (NatsError, OSError, TimeoutError):
        return False
    else:
        return True
    finally:
        await close(client)


async def _ignore(error: Exception) -> None:
    pass
