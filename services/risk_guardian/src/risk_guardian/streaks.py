"""Losing streaks (RSK-07): what each strategy would have made of its own ideas, and who loses so often in a row that a person
should look.

The book trades the sum of all shares, so no fill belongs to one strategy. A share's trades are therefore virtual: at the
guardian's own price, half the instrument's spread paid on every change. A trade lasts from flat to flat, or to the other side;
what is taken off in between counts with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec

from common.messages.portfolio import Target
from common.model.time import NS_PER_DAY
from risk_guardian.state import Share, State, Streaks


class StreakSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    max_losses: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            description="losing trades in a row after which a strategy is paused until a person lifts it; 0: never",
        ),
    ] = 10
    lift_after_days: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=3650,
            description="days of data time after which a paused strategy nobody has reviewed is on again, its count at zero; "
            "0: only a person lifts it",
        ),
    ] = 30


def losers(settings: StreakSettings, state: State, targets: Sequence[Target]) -> Iterator[tuple[str, int]]:
    """Takes in new targets; each strategy that has just lost too often in a row, with its number of losses. It is paused."""
    if not settings.max_losses:
        return
    for target in targets:
        for strategy_id, won in _trades(state, target):
            if _counted(state.streaks, strategy_id, won) >= settings.max_losses:
                state.streaks.paused[strategy_id] = state.ts
                yield strategy_id, state.streaks.losses[strategy_id]


def reviewed(settings: StreakSettings, state: State) -> Iterator[str]:
    """Strategies whose pause is over by itself. They begin anew."""
    if not settings.lift_after_days or not state.streaks.paused:
        return
    until = state.ts - settings.lift_after_days * NS_PER_DAY
    for strategy_id in [name for name, since in state.streaks.paused.items() if since <= until]:
        lift(state.streaks, strategy_id)
        yield strategy_id


def lift(streaks: Streaks, strategy_id: str) -> None:
    """Begins anew for one strategy; for all when the id is empty."""
    names = [strategy_id] if strategy_id else [*streaks.losses]
    for name in names:
        streaks.losses.pop(name, None)
        streaks.paused.pop(name, None)


def _counted(streaks: Streaks, strategy_id: str, won: bool) -> int:
    """Losses in a row with this trade; a paused strategy is not counted."""
    if strategy_id in streaks.paused:
        return 0
    streaks.losses[strategy_id] = 0 if won else streaks.losses.get(strategy_id, 0) + 1
    return streaks.losses[strategy_id]


def _trades(state: State, target: Target) -> Iterator[tuple[str, bool]]:
    """Trades that end with this target: whose, and whether they won (made no loss)."""
    instrument, px = state.instruments.get(target.instrument_id), state.last_px.get(target.instrument_id)
    if instrument is None or px is None:
        return
    shares = state.streaks.shares.setdefault(target.instrument_id, {})
    wanted: dict[str, float] = {}
    for one in target.contributions:
        key = f"{one.strategy_id} {one.timeframe}"
        wanted[key] = wanted.get(key, 0.0) + float(one.signed_qty)
    for key in [*shares, *(key for key in wanted if key not in shares)]:
        share, qty = shares.setdefault(key, Share()), wanted.get(key, 0.0)
        if qty == share.qty:
            continue
        ends = share.qty != 0 and share.qty * qty <= 0
        if ends:
            _trade(share, 0.0, float(px), float(instrument.half_spread))
            yield key.rpartition(" ")[0], share.cash >= 0
            share.cash = 0.0
        _trade(share, qty, float(px), float(instrument.half_spread))
        if not qty:
            del shares[key]


def _trade(share: Share, qty: float, px: float, half_spread: float) -> None:
    change = qty - share.qty
    share.cash -= change * px + abs(change) * half_spread
    share.qty = qty
