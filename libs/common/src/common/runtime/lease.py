"""Who may speak for a service of which several instances run: one holder at a time, named by a rising token (PLT-12).

A lease runs out at the server LEASE_TTL_S after its last renewal. Its holder counts from the moment it *asked* and stops
MARGIN_S earlier, by its own monotonic clock. What a frozen or partitioned holder says all the same is refused by the tape
(`announce`) and by the venue (`token`); docs/adr/0010 has the whole argument.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from secrets import token_hex
from typing import Final

from common.errors import TapeError
from common.messages.control import LeaseTaken
from common.runtime.codec import decode, decode_envelope
from common.runtime.session import envelope
from common.runtime.subjects import subject
from common.runtime.tape import LEASE_TTL_S, Tape

MARGIN_S: Final = 0.5
RENEW_EVERY_S: Final = 0.5
TRY_EVERY_S: Final = 0.1


class Lease:
    """The lease of `service` as seen by one process of it. `instance` names the place the process has, and a process takes
    over at once from the one that had its place before: that one is dead.
    """

    def __init__(self, tape: Tape, service: str, instance: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._tape = tape
        self._service = service
        self._instance = instance
        self._name = f"{instance} {token_hex(8)}"
        self._clock = clock
        self._revision = 0
        self._token = 0
        self._until = 0.0
        self.holder = ""

    def token(self) -> int | None:
        """As a `Fence`."""
        return self._token if self._clock() < self._until else None

    def held(self) -> bool:
        return self._clock() < self._until

    async def take(self) -> bool:
        """One attempt. `holder` names the instance that was in the way."""
        found = await self._tape.lease_of(self._service)
        self.holder = found.name.partition(" ")[0] if found else ""
        if self.holder not in ("", self._instance):
            return False
        asked = self._clock()
        revision = await self._tape.hold_lease(self._service, self._name, found.revision if found else 0)
        if revision is None:
            return False
        self._token = revision
        self._extend(asked, revision)
        return True

    async def announce(self, run_id: str) -> None:
        """Says so on the tape; from there on the tape refuses whoever held the lease before. Raises TapeError when somebody
        newer has spoken already.
        """
        message = LeaseTaken(ts_event=time.time_ns(), service=self._service, instance=self._instance, token=self._token)
        place = subject(message)
        before = await self._tape.last([place])
        if before is not None:
            former = decode(decode_envelope(before.payload))
            if isinstance(former, LeaseTaken) and former.token > self._token:
                raise TapeError(f"lease of {self._service}: {former.instance} has taken it meanwhile")
        identity = f"{message.TYPE}:{run_id}:{self._service}:{self._token}"
        sealed = envelope(self._service, message, identity, cause=None)
        await self._tape.claim(place, sealed, before.seq if before else 0, self.held)

    async def keep(self) -> None:
        """Renews for ever. Raises TapeError when the lease is lost, or cannot be known to be held."""
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            await self.renew()

    async def renew(self) -> None:
        """Once; an attempt whose outcome is unknown is repeated as long as there is time."""
        while self.held():
            asked = self._clock()
            try:
                revision = await self._tape.hold_lease(self._service, self._name, self._revision)
                if revision is not None:
                    self._extend(asked, revision)
                    return
                found = await self._tape.lease_of(self._service)
            except TapeError:
                await asyncio.sleep(TRY_EVERY_S)
                continue
            if found is None or found.name != self._name:
                break
            self._revision = found.revision  # an attempt that seemed to fail
        self._until = 0.0
        raise TapeError(f"lease of {self._service}: not renewed in time, or taken by another instance")

    async def release(self) -> None:
        """Gives it back, so that a standby need not wait for its end."""
        if self.held():
            self._until = 0.0
            await self._tape.hold_lease(self._service, "", self._revision)

    def _extend(self, asked: float, revision: int) -> None:
        self._revision = revision
        self._until = asked + LEASE_TTL_S - MARGIN_S
