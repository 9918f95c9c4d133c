"""A restart at any message changes nothing: every ladder, halt, alert, cut and streak is in the snapshot (RSK-08, RSK-09, RSK-12)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from common.messages import (
    AcknowledgeAlert,
    AlertRaised,
    ExecutionStep,
    HaltScope,
    HaltTrading,
    InstrumentsDefined,
    LadderChanged,
    MarketSlice,
    Message,
    OrderApproved,
    OrderCanceled,
    OrderFilled,
    PortfolioStep,
    ResumeTrading,
    RiskMeasured,
    RunStress,
    ScopeHalted,
    StressTested,
    TradingStateChanged,
    VenueHealth,
)
from common.messages.market_data import Bar
from common.messages.orders import Order
from common.messages.portfolio import Contribution, Target
from common.model.account import Account
from common.model.enums import OrderType, Side
from common.model.instrument import Instrument
from common.model.time import Timeframe
from common.runtime import snapshots
from common.testing.builders import EUR_USD, T0, a
from risk_guardian import scenarios
from risk_guardian.core import RiskGuardian
from risk_guardian.settings import Settings
from risk_guardian.streaks import StreakSettings

DAY = Timeframe.D1.ns
SETTINGS = Settings(streaks=StreakSettings(max_losses=8))
SCENARIOS = scenarios.load()


def fresh() -> RiskGuardian:
    return RiskGuardian(SETTINGS, Account(), SCENARIOS)


class Recording:
    """A guardian and everything that it was told and said: a year of a market that crashes in the end."""

    def __init__(self) -> None:
        self.guardian, self.tape, self.said = fresh(), list[Message](), list[list[Any]]()
        self.ts, self.step, self.orders = T0, 0, 0
        eur = a(Instrument)
        self.tell(a(InstrumentsDefined, instruments=(eur,), base_timeframes=(Timeframe.D1,)))
        for day in range(280):
            self.day(1.1 * (1 + 0.002 * (day % 2)), qty=90_000 if day % 20 < 10 else 0)
        self.commands()
        for fall in range(30):
            self.day(1.1 * 0.93 ** (fall // 3), qty=90_000)
            if fall % 10 == 9:
                self.tell(a(ResumeTrading))

    def tell(self, message: Message) -> list[Any]:
        self.tape.append(message)
        self.said.append(list(self.guardian.handle(message)))
        return self.said[-1]

    def day(self, px: float, qty: int) -> None:
        self.ts, self.step = self.ts + DAY, self.step + 1
        bars = (a(Bar, instrument_id=EUR_USD, timeframe=Timeframe.D1, close=px),)
        self.tell(MarketSlice(ts_event=self.ts, book="fx", step=self.step, bars=bars))
        self.fill(self.tell(ExecutionStep(ts_event=self.ts, book="fx", step=self.step, cash={})), px)
        share = a(Contribution, strategy_id="sma", signed_qty=Decimal(qty))
        target = a(Target, instrument_id=EUR_USD, signed_qty=Decimal(qty), contributions=(share,) if qty else ())
        wanted = Decimal(qty) - self.guardian.state.ledger.qty(EUR_USD)
        orders = (self.order(wanted, px),) if wanted else ()
        self.fill(self.tell(a(PortfolioStep, ts_event=self.ts, step=self.step, orders=orders, targets=(target,))), px)

    def order(self, signed_qty: Decimal, px: float) -> Order:
        self.orders += 1
        return a(
            Order,
            client_order_id=f"o-{self.orders}",
            strategy_id="book",
            side=Side.BUY if signed_qty > 0 else Side.SELL,
            qty=abs(signed_qty),
            ref_px=Decimal(repr(round(px, 5))),
            order_type=OrderType.MARKET,
            limit_px=None,
            stop_px=None,
            parent_id="",
            reduce_only=False,
        )

    def fill(self, said: list[Any], px: float) -> None:
        """Every third order is canceled halfway."""
        for each in said:
            if isinstance(each, OrderApproved):
                order, part = each.order, each.order.qty // 2 if self.step % 3 == 0 else each.order.qty
                same = {
                    "client_order_id": order.client_order_id,
                    "instrument_id": EUR_USD,
                    "strategy_id": order.strategy_id,
                }
                if part:
                    fill = {"side": order.side, "last_qty": part, "last_px": Decimal(repr(round(px, 5)))}
                    self.tell(a(OrderFilled, **same, **fill, leaves_qty=order.qty - part, commission=Decimal(1)))
                if part < order.qty:
                    self.tell(a(OrderCanceled, **same))

    def commands(self) -> None:
        self.tell(a(RunStress))
        self.tell(a(VenueHealth, usable=False))
        self.day(1.1, qty=90_000)
        self.tell(a(VenueHealth, usable=True))
        self.tell(a(HaltScope, strategy_id="sma", instrument_id="", halted=True))
        self.tell(a(HaltTrading, flatten=True))
        self.day(1.1, qty=90_000)
        alerts = [each for said in self.said for each in said if isinstance(each, AlertRaised)]
        self.tell(a(AcknowledgeAlert, alert_id=alerts[-1].alert_id))
        self.tell(a(ResumeTrading))
        self.tell(a(HaltScope, strategy_id="", instrument_id="", halted=False))


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording()


@pytest.mark.req("RSK-08", "RSK-09", "RSK-12")
def test_a_restart_at_every_single_message_changes_nothing(recording: Recording) -> None:
    kinds = {type(each) for said in recording.said for each in said}
    assert kinds >= {LadderChanged, TradingStateChanged, ScopeHalted, AlertRaised, RiskMeasured, StressTested}
    guardian = fresh()
    for message, said in zip(recording.tape, recording.said, strict=True):
        restarted = fresh()
        snapshots.restore(restarted, snapshots.encode(guardian, 1, "mark"), "mark")
        assert list(restarted.handle(message)) == said
        guardian = restarted


@pytest.mark.req("RSK-08")
def test_the_recording_climbs_several_ladders_and_every_level_once_per_episode(recording: Recording) -> None:
    changes = [each for said in recording.said for each in said if isinstance(each, LadderChanged)]
    assert {each.ladder for each in changes} >= {"drawdown", "var", "daily_loss", "connection", "volatility"}
    standing: dict[str, int] = {}
    for change in changes:
        assert change.previous == standing.get(change.ladder, 0) != change.level
        standing[change.ladder] = change.level


@pytest.mark.req("RSK-12")
def test_what_the_guardian_remembers_is_bounded(recording: Recording) -> None:
    state = recording.guardian.state
    assert len(msgspec.msgpack.encode(state.alerts)) < 100_000
    assert len(snapshots.encode(recording.guardian, 1, "mark")) < 200_000
