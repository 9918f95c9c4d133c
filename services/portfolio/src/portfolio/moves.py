"""From shares to targets, and from targets to what is worth proposing now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from common.messages.orders import Order
from common.messages.portfolio import Contribution, Target
from common.model.enums import TradingState
from common.model.money import ZERO, Conversion
from portfolio import halts, sizing
from portfolio.orders import held_after_working, orders, target
from portfolio.settings import Settings
from portfolio.state import Seen, State


class Desk(NamedTuple):
    """Where orders are written: the book as of this step."""

    state: State
    settings: Settings
    conversion: Conversion
    account_id: str


def move(
    desk: Desk, seen: Seen, events: Mapping[str, Sequence[str]], ts: int
) -> tuple[tuple[Target, ...], tuple[Order, ...]]:
    """The targets that changed, and the orders toward them. What `events` tells of an instrument is traded however small."""
    state = desk.state
    shares: dict[str, list[Contribution]] = {}
    for holding in state.holdings.values():
        if holding.contribution is not None:
            shares.setdefault(holding.signal.instrument_id, []).append(holding.contribution)
    held = held_after_working(seen.execution)
    targets: list[Target] = []
    proposed: list[Order] = []
    for instrument_id in state.instruments:
        own = shares.get(instrument_id, [])
        manual = seen.manual.get(instrument_id, ZERO)
        wanted = _strategies_want(desk, instrument_id, own) + manual
        has = held.get(instrument_id, ZERO)
        told = events.get(instrument_id, ())
        found = target(instrument_id, wanted, has, own, manual, told)
        if wanted != state.targets.get(instrument_id, ZERO):
            state.targets[instrument_id] = wanted
            state.denied.pop(instrument_id, None)
            if not _still_refused(desk, instrument_id, wanted):
                state.refused.pop(instrument_id, None)
            targets.append(found)
        goal = _within_reach(state, instrument_id, wanted, has, ts)
        if _worth_trading(desk, instrument_id, goal - manual, has - manual, goal, bool(told)):
            px = state.last_px[instrument_id]
            proposed.extend(
                orders(found, goal, book=state.book, account=desk.account_id, ref_px=px, ts=ts, events=told)
            )
    state.cut = False
    return tuple(targets), tuple(proposed)


def _strategies_want(desk: Desk, instrument_id: str, shares: Sequence[Contribution]) -> Decimal:
    net = sum((share.signed_qty for share in shares), ZERO)
    return desk.state.instruments[instrument_id].round_qty(net * sizing.exact(desk.state.exposure_factor))


def _worth_trading(desk: Desk, instrument_id: str, wanted: Decimal, has: Decimal, goal: Decimal, told: bool) -> bool:
    """`wanted` and `has` are the strategies' part, which is what must be worth it, whatever the operator holds beside."""
    state, settings = desk.state, desk.settings
    if wanted == has or instrument_id not in state.last_px:
        return False
    found = _worth_at_any_price(desk, instrument_id, wanted, has, goal, told)
    if found is not None:
        return found
    px, instrument = state.last_px[instrument_id], state.instruments[instrument_id]
    rate = desk.conversion.rate(instrument.quote, state.last_px)
    return rate is not None and abs(wanted - has) * px * rate >= sizing.exact(settings.min_trade_notional)


def _worth_at_any_price(
    desk: Desk, instrument_id: str, wanted: Decimal, has: Decimal, goal: Decimal, told: bool
) -> bool | None:
    """None where the price decides."""
    state, settings = desk.state, desk.settings
    shrinks = has * wanted >= 0 and abs(wanted) < abs(has)
    if not shrinks and _still_refused(desk, instrument_id, goal):
        return False  # only what gets out is asked for again
    if wanted == 0 or ((state.cut or told) and abs(wanted) < abs(has)):
        return True
    if has * wanted > 0 and abs(wanted - has) < max(abs(wanted), abs(has)) * sizing.exact(settings.trade_band):
        return False
    return None


def waiting(desk: Desk, seen: Seen, ts: int) -> dict[str, Decimal] | None:
    """By instrument, the quantities that the next step after `ts` would trade as soon as they are worth `min_trade_notional`,
    while shares, positions and trading state stay what they are; denials that end later count as lasting. None where it would
    trade, or say a target, at any price.
    """
    state = desk.state
    shares: dict[str, list[Contribution]] = {}
    for holding in state.holdings.values():
        if holding.contribution is not None:
            shares.setdefault(holding.signal.instrument_id, []).append(holding.contribution)
    held, found = held_after_working(seen.execution), dict[str, Decimal]()
    for instrument_id in {**dict.fromkeys(shares), **dict.fromkeys(held), **dict.fromkeys(state.targets)}:
        manual, has = seen.manual.get(instrument_id, ZERO), held.get(instrument_id, ZERO)
        wanted = _strategies_want(desk, instrument_id, shares.get(instrument_id, ())) + manual
        if wanted != state.targets.get(instrument_id, ZERO):
            return None
        goal = _within_reach(state, instrument_id, wanted, has, ts)
        if goal == has:
            continue
        worth = _worth_at_any_price(desk, instrument_id, goal - manual, has - manual, goal, False)
        if worth or instrument_id not in state.last_px:
            return None
        if worth is None:
            found[instrument_id] = abs(goal - has)
    return found


def _still_refused(desk: Desk, instrument_id: str, goal: Decimal) -> bool:
    """Nearly the same again would be refused again: asking the guardian every day for what is left of its limits trades the
    book to pieces.
    """
    refused = desk.state.refused.get(instrument_id)
    return refused is not None and abs(goal - refused) <= abs(refused) * sizing.exact(desk.settings.trade_band)


def _within_reach(state: State, instrument_id: str, wanted: Decimal, has: Decimal, ts: int) -> Decimal:
    """As far toward `wanted` as the trading state, a halt of the instrument and a fresh denial let the book go; the guardian
    checks all the same.
    """
    if state.trading is TradingState.HALTED:
        return has
    reduces_only = state.trading is TradingState.REDUCING or halts.takes_no_risk(state, instrument_id)
    if reduces_only or _was_just_denied(state, instrument_id, ts):
        return min(wanted, has, key=abs) if has * wanted > 0 else ZERO
    return wanted


def _was_just_denied(state: State, instrument_id: str, ts: int) -> bool:
    """Asked at every step, new risk would be denied at every step."""
    denied = state.denied.get(instrument_id)
    return denied is not None and ts < denied.until_ns
