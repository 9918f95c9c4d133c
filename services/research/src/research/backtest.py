"""The whole system over recorded data in one process: the very cores that run live, in the order of the tape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from common.core import Core, Effect
from common.lockstep import Lockstep
from common.messages.base import Message
from common.messages.market_data import MarketSlice
from common.messages.orders import IntentRecorded
from common.messages.risk import ResumeTrading, TradingStateChanged
from common.model.account import Account
from common.model.enums import TradingState
from common.model.time import NS_PER_DAY
from common.runtime.settings import section
from execution.core import Execution
from execution.effects import RecordIntent
from execution.settings import Settings as ExecutionSettings
from market_data.source import source
from portfolio.core import Portfolio
from portfolio.settings import Settings as PortfolioSettings
from regime.core import RegimeDetector
from regime.models import load_models
from regime.settings import Settings as RegimeSettings
from risk_guardian.core import RiskGuardian
from risk_guardian.scenarios import load as load_scenarios
from risk_guardian.settings import Settings as GuardianSettings
from signals.core import Signals
from signals.loader import load_strategies
from signals.settings import Settings as SignalsSettings

_NEVER_NS: Final = 2**62


def cores(config: Mapping[str, Any]) -> dict[str, Core]:
    """Every core that reads the tape, from the effective configuration, in the order of a step."""
    account = section(config, "account", Account)
    signals_settings = section(config, "signals", SignalsSettings)
    guardian_settings = section(config, "risk_guardian", GuardianSettings)
    regime_settings = section(config, "regime", RegimeSettings)
    return {
        "execution": Execution(section(config, "execution", ExecutionSettings), account),
        "regime": RegimeDetector(regime_settings, load_models(regime_settings.models)),
        "signals": Signals(signals_settings, load_strategies(signals_settings)),
        "portfolio": Portfolio(section(config, "portfolio", PortfolioSettings), account),
        "risk_guardian": RiskGuardian(guardian_settings, account, load_scenarios(guardian_settings.scenarios_dir)),
    }


def backtest(
    config: Mapping[str, Any], *, resume_after_days: int | None = None, of: Mapping[str, Core] | None = None
) -> Iterator[Message]:
    """Every message of the run, in tape order. With `resume_after_days` an operator is simulated who resumes trading when
    it has been halted for so long; without, a halt lasts to the end of the data. `of` are the cores, if not `cores(config)`.
    """
    feed = source(config)
    operator = Operator(resume_after_days)
    system = Lockstep(cores(config) if of is None else of, answer)
    for message in system.run(operator.beside(feed.messages())):
        operator.see(message)
        yield message


class Operator:
    """Somebody who resumes trading `after_days` days after a halt; None never does."""

    def __init__(self, after_days: int | None) -> None:
        self._after_ns = None if after_days is None else after_days * NS_PER_DAY
        self._halted_ns: int | None = None

    @property
    def due_ns(self) -> int:
        """When trading will be resumed; far in the future while nothing is halted."""
        if self._halted_ns is None or self._after_ns is None:
            return _NEVER_NS
        return self._halted_ns + self._after_ns

    def see(self, message: Message) -> None:
        if isinstance(message, TradingStateChanged):
            self._halted_ns = message.ts_event if message.state is TradingState.HALTED else None

    def beside(self, messages: Iterable[Message]) -> Iterator[Message]:
        """The messages, with a command to resume before the first slice at which it is due."""
        for message in messages:
            if isinstance(message, MarketSlice) and message.ts_event >= self.due_ns:
                yield ResumeTrading(
                    ts_event=message.ts_event,
                    book=message.book,
                    author="simulated operator",
                    reason="halted long enough",
                )
            yield message


def answer(effect: Effect) -> Iterable[Message]:
    """What execution's shell says where there is no outside world: the intent is recorded."""
    if not isinstance(effect, RecordIntent):
        raise TypeError(f"no answer to {type(effect).__name__}")
    return [IntentRecorded(ts_event=effect.ts_event, client_order_id=effect.order.client_order_id)]
