"""Regimes set by hand (REG-08): for one instrument or for all, with an author, a reason and an end in data time."""

from __future__ import annotations

from typing import Final

import msgspec

from common.messages.regime import OverrideRegime, RegimeOverridden
from common.model.enums import Regime
from common.model.time import iso

EVERYTHING: Final = ""


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """In force since `since_ns` of data time."""

    regime: Regime
    author: str
    since_ns: int
    expires_ns: int


class Overrides(msgspec.Struct):
    """What is in force, by instrument; an empty one stands for all that have none of their own. `known` are the instruments there are."""

    now_ns: int = 0
    running: dict[str, Override] = msgspec.field(default_factory=dict)
    known: tuple[str, ...] = ()


def obey(state: Overrides, command: OverrideRegime) -> list[RegimeOverridden]:
    """Sets or lifts, and says so. A command for all replaces or lifts those of single instruments as well. One that is over
    already only lifts; one for an instrument that nobody knows does nothing but say so.
    """
    instrument_id, regime = command.instrument_id, command.regime
    if state.known and instrument_id not in (EVERYTHING, *state.known):
        return [_said(state, command, instrument_id, None, f"unknown instrument {instrument_id}; {command.reason}")]
    replaced = [key for key in sorted(state.running) if instrument_id in (EVERYTHING, key)]
    for key in replaced:
        del state.running[key]
    over = regime is not None and command.expires_ns <= state.now_ns
    lifted = [_said(state, command, key, None, command.reason) for key in replaced if key != instrument_id]
    if regime is None and not replaced:
        return [_said(state, command, instrument_id, None, f"nothing was set{_beneath(state)}; {command.reason}")]
    if over:
        return [*lifted, _said(state, command, instrument_id, None, f"already over in data time; {command.reason}")]
    if regime is not None:
        state.running[instrument_id] = Override(
            regime=regime, author=command.author, since_ns=state.now_ns, expires_ns=command.expires_ns
        )
    return [*lifted, _said(state, command, instrument_id, regime, command.reason)]


def _beneath(state: Overrides) -> str:
    """What an instrument without an override of its own is under all the same."""
    for_all = state.running.get(EVERYTHING)
    return f" for it alone, {for_all.regime} for all goes on until {iso(for_all.expires_ns)}" if for_all else ""


def expire(state: Overrides, ts_event: int, book: str) -> list[RegimeOverridden]:
    """Data time is `ts_event` now: what is over is lifted, in order of instruments."""
    state.now_ns = ts_event
    if not state.running:
        return []
    ended = [(key, state.running[key]) for key in sorted(state.running) if state.running[key].expires_ns <= ts_event]
    for instrument_id, _ in ended:
        del state.running[instrument_id]
    return [_expired(ts_event, book, instrument_id, over) for instrument_id, over in ended]


def override_of(state: Overrides, instrument_id: str) -> Override | None:
    """What is in force for the instrument."""
    if not state.running:
        return None
    return state.running.get(instrument_id) or state.running.get(EVERYTHING)


def _expired(ts_event: int, book: str, instrument_id: str, over: Override) -> RegimeOverridden:
    return RegimeOverridden(
        ts_event=ts_event,
        book=book,
        instrument_id=instrument_id,
        regime=None,
        expires_ns=over.expires_ns,
        author=over.author,
        reason="expired",
    )


def _said(
    state: Overrides, command: OverrideRegime, instrument_id: str, regime: Regime | None, reason: str
) -> RegimeOverridden:
    return RegimeOverridden(
        ts_event=state.now_ns or command.ts_event,  # data time, where there is one: an operator's clock is another
        book=command.book,
        instrument_id=instrument_id,
        regime=regime,
        expires_ns=command.expires_ns,
        author=command.author,
        reason=reason,
    )
