"""`ballast regime override`: an operator's word onto the tape, and the regime service's answer to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ballast_cli.orders import newest, open_desk
from ballast_cli.output import WrongArgumentError
from common import messages as m
from common.messages.base import Message
from common.model.enums import Regime
from common.model.time import NS_PER_DAY, iso


async def override(home: Path, symbol: str, regime: Regime | None, hours: float, reason: str) -> dict[str, Any]:
    """What the service said; `confirmed` is false where it stays silent. The end is in data time, from the newest slice on."""
    async with open_desk(home) as desk:
        instrument_id = await desk.instrument(symbol) if symbol else ""
        slice_ = await newest(desk.tape, m.MarketSlice)
        if slice_ is None:
            raise WrongArgumentError("no price yet: there is no data time to count from")
        expires_ns = slice_.ts_event + round(hours * NS_PER_DAY / 24)
        word = m.OverrideRegime(
            **desk.said(), reason=reason, instrument_id=instrument_id, regime=regime, expires_ns=expires_ns
        )
        heard = await desk.ask(word, (m.RegimeOverridden,), lambda said: _answer(said, instrument_id) is not None)
    answer = _answer(heard, instrument_id)
    if answer is None:
        return {"confirmed": False}
    return {
        "confirmed": True,
        "done": answer.regime is regime,
        "instrument": instrument_id or "all",
        "regime": answer.regime,
        "until": iso(answer.expires_ns) if answer.regime else None,
        "reason": answer.reason,
    }


def _answer(heard: Sequence[Message], instrument_id: str) -> m.RegimeOverridden | None:
    """The one about the instrument itself; others are about what it replaced."""
    found = [one for one in heard if isinstance(one, m.RegimeOverridden) and one.instrument_id == instrument_id]
    return found[-1] if found else None
