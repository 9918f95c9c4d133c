"""Positions that hang together: by currency, by type of strategy, by sector, by correlation (PFL-06). Answers are cuts."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from common.model.enums import DenyCode
from common.model.money import ONE, ZERO
from common.model.parties import BOOK, GUARDIAN
from risk_guardian.checks.base import Context, Cut, Side, waits
from risk_guardian.checks.size import absolute, directed, own_side
from risk_guardian.flow import strategy_type

_NOBODY: Final[Mapping[str, Decimal]] = {BOOK: ONE}  # behind a position whose strategies were never said
_NO_ONE: Final[Mapping[str, Decimal]] = {}


def max_currency(c: Context) -> Cut | None:
    """Net, at once in the currency that the order buys and against the one it sells; whichever is tighter."""
    if not c.limits.max_currency:
        return None
    instrument, sign = c.instrument, c.order.side.sign
    limit = c.of_equity(c.limits.max_currency)
    cuts = [
        directed(c, DenyCode.MAX_CURRENCY, _in_currency(c, currency, toward), limit)
        for currency, toward in ((instrument.base, sign), (instrument.quote, -sign))
        if c.conversion.rate(currency, {}) is None  # worth one only where it is the account's
    ]
    return _tightest(cuts)


def max_sector(c: Context) -> Cut | None:
    if not c.limits.max_sector:
        return None
    sectors, symbol = c.limits.sectors, c.instrument.symbol
    mine = sectors.get(symbol, symbol)
    others = sum((side.worst for side in c.others.values() if _sector(side, sectors) == mine), ZERO)
    return absolute(c, DenyCode.MAX_SECTOR, others, c.of_equity(c.limits.max_sector))


def max_strategy_type(c: Context) -> Cut | None:
    """Every position is divided among the types behind it: first those who sent orders of their own, the rest is the book's. The
    order adds to the types that want it.
    """
    if not c.limits.max_strategy_type:
        return None
    limit = c.of_equity(c.limits.max_strategy_type)
    mine, types = _types_of_order(c), c.state.flow.types
    held = {**c.others}
    if not c.closes and (own := own_side(c)):
        held[c.order.instrument_id] = own
    owned = _owned_by_others(c)
    totals = dict.fromkeys(mine, ZERO)
    for instrument_id, side in held.items():
        left = side.worst
        for kind, qty in owned.get(instrument_id, _NO_ONE).items():
            part = min(left, qty * side.unit)
            left -= part
            if kind in totals:
                totals[kind] += part
        shares = types.get(instrument_id, _NOBODY)
        for kind in mine if left else ():
            if share := shares.get(kind):
                totals[kind] += left * share
    cuts = [_growth(c, totals[kind], share, limit) for kind, share in mine.items()]
    return _tightest(cuts)


def max_correlated(c: Context) -> Cut | None:
    """Gross, together with the instruments that move like this one or against it; alone it has only its own limits."""
    if not c.limits.max_correlated or c.after is None or not c.others:
        return None
    alike = [side.worst for name in c.after.correlated(c.order.instrument_id) if (side := c.others.get(name))]
    if not alike:
        return None
    return absolute(c, DenyCode.MAX_CORRELATED, sum(alike, ZERO), c.of_equity(c.limits.max_correlated))


def _growth(c: Context, already: Decimal, share: Decimal, limit: Decimal) -> Cut | None:
    """What the order opens, times `share`, on top of `already`."""
    observed = already + (c.order.qty - c.closes) * c.unit * share
    room = c.closes + max(limit - already, ZERO) / (c.unit * share)
    return c.at_most(DenyCode.MAX_STRATEGY_TYPE, observed, limit, room)


def _tightest(cuts: list[Cut | None]) -> Cut | None:
    return min((cut for cut in cuts if cut), key=lambda cut: cut.qty, default=None)


def _in_currency(c: Context, currency: str, toward: int) -> Decimal:
    """The most that all other instruments hold of `currency` in the direction `toward`."""
    total = ZERO
    for side in c.others.values():
        if side.instrument.base == currency:
            total += side.toward(toward)
        if side.instrument.quote == currency:
            total += side.toward(-toward)
    return total


def _sector(side: Side, sectors: Mapping[str, str]) -> str:
    return sectors.get(side.instrument.symbol, side.instrument.symbol)


def _types_of_order(c: Context) -> Mapping[str, Decimal]:
    if c.order.strategy_id == BOOK:
        return c.state.flow.types.get(c.order.instrument_id, _NOBODY)
    return {strategy_type(c.limits.strategy_types, c.order.strategy_id): ONE}


def _owned_by_others(c: Context) -> dict[str, dict[str, Decimal]]:
    """Units, by instrument and type, of strategies that send orders of their own, working ones included."""
    flow, types = c.state.flow, c.limits.strategy_types
    owned: dict[str, dict[str, Decimal]] = {}
    kinds: dict[str, str] = {}
    for instrument_id, filled in flow.others.items():
        totals = owned[instrument_id] = {}
        for strategy_id, qty in filled.items():
            kind = kinds.get(strategy_id)
            if kind is None:
                kind = kinds[strategy_id] = strategy_type(types, strategy_id)
            totals[kind] = totals[kind] + abs(qty) if kind in totals else abs(qty)
    for name, working in c.state.working.items():
        terms = flow.orders.get(name)
        if terms is not None and terms.strategy_id not in (BOOK, GUARDIAN) and not waits(c.state, name):
            kind = strategy_type(types, terms.strategy_id)
            _add(owned.setdefault(working.instrument_id, {}), kind, abs(working.signed_leaves_qty))
    return owned


def _add(totals: dict[str, Decimal], key: str, value: Decimal) -> None:
    totals[key] = totals.get(key, ZERO) + value
