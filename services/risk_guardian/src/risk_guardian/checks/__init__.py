"""Pre-trade controls (RSK-02): one pure function each, asked in the order of `CHECKS`.

A check gives None to let pass, a `Breach` to refuse, or a `Cut` to the largest quantity it allows. Orders that only shrink
a position skip what protects against new risk: getting out must always be possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from risk_guardian.checks.base import (
    Breach,
    Check,
    Context,
    Cut,
    RiskAfter,
    gross_exposure,
    held,
    waits,
)
from risk_guardian.checks.events import event_blackout
from risk_guardian.checks.groups import max_correlated, max_currency, max_sector, max_strategy_type
from risk_guardian.checks.hours import trading_window
from risk_guardian.checks.market import clock_jump, fresh_price, fx_week_open, market_open, price_collar, priced, quoted
from risk_guardian.checks.rates import (
    cancel_rate,
    duplicate_content,
    notional_rate,
    open_orders,
    order_rate,
    repeated_execution,
    self_trade,
    strategy_order_rate,
)
from risk_guardian.checks.risk import max_es, max_heat, max_stress_loss, max_var, scenario_limit
from risk_guardian.checks.shape import (
    NEEDED_PRICES,
    duplicate_id,
    fits_parent,
    known_account,
    known_instrument,
    stated_prices,
    valid_qty,
)
from risk_guardian.checks.size import (
    max_deployed,
    max_gross_exposure,
    max_leverage,
    max_net_exposure,
    max_notional,
    max_position,
    max_qty,
    volume_share,
)
from risk_guardian.checks.standing import (
    daily_loss,
    equity_known,
    halted,
    max_drawdown,
    reducing,
    restricted,
    scope_halted,
)

OF_EVERY_ORDER: Final[Sequence[Check]] = (
    halted,
    known_instrument,
    known_account,
    duplicate_id,
    valid_qty,
    stated_prices,
    fits_parent,
    reducing,
    self_trade,
)
OF_NEW_RISK: Final[Sequence[Check]] = (
    scope_halted,
    restricted,
    duplicate_content,
    order_rate,
    strategy_order_rate,
    cancel_rate,
    repeated_execution,
    open_orders,
    market_open,
    event_blackout,
    trading_window,
    clock_jump,
    priced,
    fresh_price,
    quoted,
    price_collar,
    equity_known,
    daily_loss,
    max_drawdown,
    max_heat,
    max_qty,
    max_notional,
    volume_share,
    max_position,
    max_gross_exposure,
    max_net_exposure,
    max_leverage,
    max_deployed,
    max_currency,
    max_strategy_type,
    max_sector,
    max_correlated,
    max_var,
    max_es,
    max_stress_loss,
    scenario_limit,
    notional_rate,
)
CHECKS: Final[Sequence[Check]] = (*OF_EVERY_ORDER, *OF_NEW_RISK)

__all__ = [
    "CHECKS",
    "NEEDED_PRICES",
    "OF_EVERY_ORDER",
    "OF_NEW_RISK",
    "Breach",
    "Check",
    "Context",
    "Cut",
    "RiskAfter",
    "fx_week_open",
    "gross_exposure",
    "held",
    "waits",
]
