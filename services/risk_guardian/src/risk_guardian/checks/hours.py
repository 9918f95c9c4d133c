"""Whether this is an hour in which the instrument is traded."""

from __future__ import annotations

from common.model.enums import DenyCode
from common.model.money import ZERO
from risk_guardian.checks.base import Context, Cut, exact


def trading_window(c: Context) -> Cut | None:
    """Outside, a position may only be built up to `outside_factor` of the size that the order aims at, by hours and sessions of the
    decision's time. Asked again and again it comes no nearer: what was cut counts as held.
    """
    if c.windows.admits(c.instrument, c.ts):
        return None
    after = abs(c.held + c.order.signed_qty)
    already = ZERO if c.closes else abs(c.held)
    allowed = after * exact(c.windows.outside_factor)
    return c.at_most(DenyCode.OUTSIDE_WINDOW, after, allowed, c.closes + max(allowed - already, ZERO))
