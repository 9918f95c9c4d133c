"""Who speaks for a service, and which code it is: said on the tape at the start of every life (docs/adr/0013)."""

from __future__ import annotations

import time
from typing import Final, NamedTuple

import structlog

from common.contracts import DECIDING, own_pattern
from common.messages.control import ServiceStarted
from common.runtime.codec import decode, decode_envelope
from common.runtime.tape import Tape
from common.version import BUILD, CONTRACTS


class Speaker(NamedTuple):
    """One process of a service."""

    instance: str = "1"
    build: str = BUILD
    contracts: str = CONTRACTS

    def introduction(self, service: str) -> ServiceStarted:
        """As of now, by the wall clock."""
        return ServiceStarted(ts_event=time.time_ns(), service=service, **self._asdict())


THIS_PROCESS: Final = Speaker()


async def warn_of_others(tape: Tape, speaker: Speaker) -> None:
    """Logs which deciding service was last started from other code; execution refuses new risk while one is."""
    for service in DECIDING:
        newest = await tape.last([own_pattern(ServiceStarted, service)])
        found = decode(decode_envelope(newest.payload)) if newest else None
        if isinstance(found, ServiceStarted) and (found.build, found.contracts) != (speaker.build, speaker.contracts):
            theirs, ours = f"{found.build} ({found.contracts})", f"{speaker.build} ({speaker.contracts})"
            structlog.get_logger().warning("version mismatch: no new risk", other=service, theirs=theirs, ours=ours)
