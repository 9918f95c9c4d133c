"""The cores of the simulated system, and a strategy that changes its mind all the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from common.core import Core
from common.model.account import Account
from common.model.enums import Direction, Tier, VolState
from common.model.time import Timeframe
from execution.core import Execution
from execution.settings import Settings as ExecutionSettings
from portfolio.core import Portfolio
from portfolio.settings import Settings as PortfolioSettings
from regime.core import RegimeDetector
from regime.settings import Settings as RegimeSettings
from risk_guardian.core import RiskGuardian
from risk_guardian.limits import Limits
from risk_guardian.settings import Settings as GuardianSettings
from signals.api import Context, Opinion, Strategy
from signals.core import Signals
from signals.settings import Condition
from signals.settings import Settings as SignalsSettings

ACCOUNT: Final = Account()
LIMITS: Final = Limits(price_collar=0.2, max_position=0.5, max_gross_exposure=1.0, max_order_notional=0.4)
_ALL_DIRECTIONS: Final = tuple(Direction)


def _fickle(context: Context) -> Opinion:
    """What the last digits of the price say: as good as chance, and the same in every replay."""
    digits = round(context.bar.close * 100_000)
    return Opinion(
        direction=_ALL_DIRECTIONS[digits % 7 % 3],
        strength=(digits % 11) / 10,
        confidence=(digits % 13) / 12,
        reason=f"the price ends in {digits % 7}",
    )


def _strategy(name: str, tier: Tier, period: int) -> Strategy:
    from signals.api import Sma

    return Strategy(
        id=name,
        tier=tier,
        params={state: {"period": period} for state in VolState},
        features=lambda params: {"mean": Sma(int(params["period"]))},
        decide=_fickle,
        hold_bars=6,
    )


def makers(venue: str) -> dict[str, Callable[[], Core]]:
    """How to make each core afresh; `venue` is "paper" or the name of an outside one."""
    calm = Condition(size_factor=1.0, confirmations=1, stop_fraction=0.02, hold_factor=1.0)
    signals = SignalsSettings(timeframes=(Timeframe.H1,), normal=calm, elevated=calm, stress=calm)
    strategies = (_strategy("fickle", Tier.CORE, 2), _strategy("moody", Tier.GROWTH, 3))
    portfolio = PortfolioSettings(
        risk_per_trade=0.02, max_total_risk=0.1, rebalance_hours=6, correlation_timeframe=Timeframe.H1, trade_band=0.1
    )
    guardian = GuardianSettings(limits=LIMITS)
    execution = ExecutionSettings(**({"venue": venue} if venue != "paper" else {}))
    return {
        "regime": lambda: RegimeDetector(RegimeSettings(timeframes=(Timeframe.H1,))),
        "signals": lambda: Signals(signals, strategies),
        "portfolio": lambda: Portfolio(portfolio, ACCOUNT),
        "risk_guardian": lambda: RiskGuardian(guardian, ACCOUNT),
        "execution": lambda: Execution(execution, ACCOUNT),
    }
