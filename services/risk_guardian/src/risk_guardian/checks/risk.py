"""The risk of the whole book after the order: value at risk, shortfall, stress, heat."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from common.model.enums import DenyCode
from common.model.money import ONE, ZERO
from risk_guardian.checks.base import Breach, Context, Cut, RiskAfter, exact

Measure = Callable[[RiskAfter, str, Decimal], float | None]
PRECISION: Final = 1 << 7  # a cut is this close to the largest quantity, as a part of the order


def max_var(c: Context) -> Breach | Cut | None:
    return _limited(c, DenyCode.MAX_VAR, c.limits.max_var_95_1d, lambda after, name, qty: after.var_95(name, qty))


def max_es(c: Context) -> Breach | Cut | None:
    return _limited(c, DenyCode.MAX_ES, c.limits.max_es_95_1d, lambda after, name, qty: after.es_95(name, qty))


def max_stress_loss(c: Context) -> Breach | Cut | None:
    return _limited(c, DenyCode.MAX_STRESS_LOSS, c.limits.max_stress_loss, _worst_stress)


def scenario_limit(c: Context) -> Cut | None:
    """A scenario may carry a limit of its own."""
    name, qty = c.order.instrument_id, c.order.signed_qty
    breach = c.after.stress_breach(name, qty) if c.after else None
    if breach is None:
        return None
    _, loss, limit = breach
    room = _largest(c, 0.0, _breached) if c.limits.resize else ZERO
    return c.at_most(DenyCode.MAX_STRESS_LOSS, exact(loss), exact(limit), room)


def max_heat(c: Context) -> Breach | None:
    """Of the book's own stops, which know of this order already."""
    if not c.limits.max_heat:
        return None
    heat = c.after.heat() if c.after else None
    if heat is None:
        return _unknown(c, DenyCode.MAX_HEAT, c.limits.max_heat)
    return Breach(DenyCode.MAX_HEAT, exact(heat), exact(c.limits.max_heat)) if heat > c.limits.max_heat else None


def _limited(c: Context, code: DenyCode, limit: float, measure: Measure) -> Breach | Cut | None:
    if not limit:
        return None
    observed = measure(c.after, c.order.instrument_id, c.order.signed_qty) if c.after else None
    if observed is None:
        return _unknown(c, code, limit)
    if observed <= limit:
        return None
    room = _largest(c, limit, measure) if c.limits.resize else ZERO
    return c.at_most(code, exact(observed), exact(limit), room)


def _largest(c: Context, limit: float, measure: Measure) -> Decimal:
    """A quantity within the limit, found by halving between what only closes and the whole order. A measure need not grow with
    the quantity: what is given was measured itself. 0 where even the least is too much, which is the common case.
    """
    increment, name, sign = c.instrument.qty_increment, c.order.instrument_id, c.order.side.sign
    high = int(c.order.qty / increment)
    precision = max(high // PRECISION, 1)
    middle = int(c.closes / increment) + precision
    found = 0
    while middle < high:
        value = measure(c.after, name, middle * increment * sign) if c.after else None
        if value is not None and value <= limit:
            found = middle
        elif not found:
            return ZERO
        else:
            high = middle
        if high - found <= precision:
            break
        middle = (found + high) // 2
    return found * increment


def _worst_stress(after: RiskAfter, instrument_id: str, signed_qty: Decimal) -> float | None:
    worst = after.worst_stress(instrument_id, signed_qty)
    return None if worst is None else worst[1]


def _breached(after: RiskAfter, instrument_id: str, signed_qty: Decimal) -> float:
    """1 over the limit of any scenario, else 0."""
    return 0.0 if after.stress_breach(instrument_id, signed_qty) is None else 1.0


def _unknown(c: Context, code: DenyCode, limit: float) -> Breach | None:
    """Where a measure is demanded, an unknown one counts as everything lost."""
    return Breach(code, ONE, exact(limit)) if c.limits.require_var else None
