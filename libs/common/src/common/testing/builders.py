"""One small, plausible example of everything that can be said on the tape.

`a(OrderFilled, last_qty=Decimal(5))` is the example with one thing changed. The examples are also the golden files of
libs/common/contracts, so they set every optional field.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

from common import messages as m
from common.messages.base import Envelope, Message
from common.messages.control import ParameterMoved
from common.messages.market_data import Bar, EconomicEvent, Impact, QuarantinedRow, QuarantineReason, Quote
from common.messages.orders import BreakKind, OpenOrder, Order
from common.messages.portfolio import Contribution, Target
from common.messages.regime import MarketReading, ModelReading, RegimeReading
from common.messages.risk import ScenarioResult
from common.messages.signals import Signal
from common.messages.venue import Traded, VenueOrder
from common.model.enums import (
    Algorithm,
    AssetClass,
    DenyCode,
    Direction,
    OrderType,
    Regime,
    Severity,
    Side,
    Tier,
    TimeInForce,
    TradingState,
    VolState,
)
from common.model.instrument import Instrument
from common.model.ledger import Position
from common.model.time import NS_PER_DAY, Timeframe
from common.runtime import codec

T = TypeVar("T", bound=msgspec.Struct)

T0: Final = 1_483_452_000_000_000_000  # 2017-01-03T14:00:00Z
BOOK: Final = "fx"
ACCOUNT: Final = "paper"
STRATEGY: Final = "ma_cross_20_50_d1"
EUR_USD: Final = "EUR-USD.ECB"
ORDER_ID: Final = "fx-EUR-USD-7"
VENUE_ORDER_ID: Final = "paper-7"

_NOUNS: Final[tuple[msgspec.Struct, ...]] = (
    Instrument(
        instrument_id=EUR_USD,
        asset_class=AssetClass.FX,
        base="EUR",
        quote="USD",
        price_increment=Decimal("0.00001"),
        qty_increment=Decimal(1),
        half_spread=Decimal("0.00005"),
        close_only=True,
    ),
    Position(instrument_id=EUR_USD, signed_qty=Decimal(1000), avg_px=Decimal("1.0412"), realized=Decimal("12.5")),
    Bar(
        instrument_id=EUR_USD,
        timeframe=Timeframe.H1,
        open=1.0405,
        high=1.0421,
        low=1.0399,
        close=1.0412,
        volume=1820.0,
        spread_open=0.0001,
        spread_close=0.00012,
        base=True,
    ),
    Quote(instrument_id=EUR_USD, bid=1.0411, ask=1.0413, bid_size=1e6, ask_size=2e6),
    QuarantinedRow(instrument_id=EUR_USD, ts_row=T0, reason=QuarantineReason.CROSSED, detail="bid 1.05 > ask 1.04"),
    RegimeReading(
        instrument_id=EUR_USD,
        timeframe=Timeframe.H1,
        regime=Regime.TRENDING_UP,
        candidate=Regime.TRENDING_UP,
        since_ns=T0 - NS_PER_DAY,
        confidence=0.8,
        vol_state=VolState.NORMAL,
        vol_ratio=1.1,
        adx=31.0,
        plus_di=28.0,
        minus_di=12.0,
        chop=36.5,
        atr=0.0014,
        atr_percentile=0.55,
        atr_ratio=1.2,
        bb_width=0.012,
        override="anna",
    ),
    ModelReading(
        instrument_id=EUR_USD,
        timeframe=Timeframe.H1,
        bull=0.7,
        bear=0.1,
        sideways=0.2,
        high_volatility=0.15,
        forecast_vol=0.006,
        change_24h=0.25,
        change_48h=0.4,
    ),
    MarketReading(
        crisis=False,
        breakdown=False,
        stress_score=0.3,
        mean_correlation=0.45,
        correlation_shift=0.6,
        volatility=0.4,
        drawdown_speed=0.1,
        spread=0.2,
        liquidity=0.5,
    ),
    EconomicEvent(ts_event=T0 + NS_PER_DAY, currency="USD", impact=Impact.HIGH, name="Non-Farm Employment Change"),
    Signal(
        strategy_id=STRATEGY,
        tier=Tier.CORE,
        instrument_id=EUR_USD,
        timeframe=Timeframe.D1,
        direction=Direction.LONG,
        strength=0.7,
        confidence=0.6,
        stop_fraction=0.02,
        size_factor=1.0,
        vol_state=VolState.NORMAL,
        vol_ratio=1.1,
        ref_px=1.0412,
        reason="MA 20 crossed above MA 50",
    ),
    Order(
        client_order_id=ORDER_ID,
        account=ACCOUNT,
        strategy_id=STRATEGY,
        instrument_id=EUR_USD,
        side=Side.BUY,
        qty=Decimal(1000),
        ref_px=Decimal("1.0412"),
        order_type=OrderType.STOP_LIMIT,
        limit_px=Decimal("1.0425"),
        stop_px=Decimal("1.0420"),
        time_in_force=TimeInForce.GTD,
        expire_ns=T0 + NS_PER_DAY,
        reduce_only=False,
        reason="new signal",
        post_only=False,
        parent_id="fx-EUR-USD-6",
        oco_group="fx-EUR-USD-6-exits",
        algorithm=Algorithm.TWAP,
        urgency=0.5,
    ),
    OpenOrder(
        client_order_id=ORDER_ID,
        instrument_id=EUR_USD,
        signed_leaves_qty=Decimal(400),
        reduce_only=False,
        strategy_id=STRATEGY,
    ),
    Contribution(
        strategy_id=STRATEGY,
        timeframe="1d",
        signed_qty=Decimal(1000),
        risk=Decimal("20.82"),
        base=Decimal("25.00"),
        volatility_adjustment=0.9,
        correlation_adjustment=1.0,
        regime_adjustment=1.0,
        reason="MA 20 crossed above MA 50",
    ),
    Traded(
        client_order_id=ORDER_ID,
        venue_order_id=VENUE_ORDER_ID,
        trade_id="T-1",
        last_qty=Decimal(600),
        last_px=Decimal("1.0413"),
        commission=Decimal("0.02"),
        commission_currency="USD",
        maker=True,
    ),
    VenueOrder(
        client_order_id=ORDER_ID,
        venue_order_id=VENUE_ORDER_ID,
        instrument_id=EUR_USD,
        signed_leaves_qty=Decimal(400),
    ),
    ScenarioResult(scenario="fx_shock", loss=0.02, by_instrument={EUR_USD: 0.02}, limit=0.1, breached=False),
)
_noun: Final[dict[type[msgspec.Struct], Any]] = {type(noun): noun for noun in _NOUNS}

_MOVED: Final = ParameterMoved(key="portfolio.risk_per_trade", before=None, after="0.0022")
_TARGET: Final = Target(
    instrument_id=EUR_USD,
    signed_qty=Decimal(1000),
    held_qty=Decimal(0),
    contributions=(_noun[Contribution],),
    reason="new signal",
)
_OF_ORDER: Final[dict[str, str]] = {
    "client_order_id": ORDER_ID,
    "account": ACCOUNT,
    "strategy_id": STRATEGY,
    "instrument_id": EUR_USD,
}

_MESSAGES: Final[tuple[Message, ...]] = (
    m.RunStarted(
        ts_event=T0,
        book=BOOK,
        profile="fx",
        data="builtin",
        start_ns=T0 - NS_PER_DAY,
        end_ns=T0 + NS_PER_DAY,
        lockstep=True,
        config="{}",
        build="0.1.0",
    ),
    m.InstrumentsDefined(
        ts_event=T0,
        book=BOOK,
        account_currency="USD",
        instruments=(_noun[Instrument],),
        base_timeframes=(Timeframe.H1,),
    ),
    m.MarketSlice(ts_event=T0, book=BOOK, step=7, bars=(_noun[Bar],), quotes=(_noun[Quote],), late=False),
    m.RowsQuarantined(ts_event=T0, book=BOOK, rows=(_noun[QuarantinedRow],)),
    m.MarketDataEnded(ts_event=T0, book=BOOK, steps=7, bars=21, quarantined=1, gaps=2),
    m.FeedChanged(
        ts_event=T0, book=BOOK, instrument_id=EUR_USD, feed="oanda", active=True, score=0.97, reason="fxcm is silent"
    ),
    m.EventsScheduled(ts_event=T0, book=BOOK, events=(_noun[EconomicEvent],)),
    m.RegimeStep(
        ts_event=T0,
        book=BOOK,
        step=7,
        readings=(_noun[RegimeReading],),
        models=(_noun[ModelReading],),
        market=_noun[MarketReading],
    ),
    m.OverrideRegime(
        ts_event=T0,
        book=BOOK,
        author="anna",
        reason="rate decision",
        instrument_id=EUR_USD,
        regime=Regime.VOLATILE,
        expires_ns=T0 + NS_PER_DAY,
    ),
    m.RegimeOverridden(
        ts_event=T0,
        book=BOOK,
        instrument_id=EUR_USD,
        regime=Regime.VOLATILE,
        expires_ns=T0 + NS_PER_DAY,
        author="anna",
        reason="rate decision",
    ),
    m.SignalsStep(ts_event=T0, book=BOOK, step=7, signals=(_noun[Signal],)),
    m.PortfolioStep(
        ts_event=T0,
        book=BOOK,
        step=7,
        equity=Decimal("100012.50"),
        gross_exposure=Decimal("1041.20"),
        net_exposure=Decimal("1041.20"),
        total_risk=Decimal("20.82"),
        targets=(_TARGET,),
        orders=(_noun[Order],),
    ),
    m.OrderApproved(
        ts_event=T0,
        order=_noun[Order],
        step=7,
        resized_from=Decimal(1500),
        rule="MAX_POSITION: 1500 > 1000",
    ),
    m.OrderDenied(
        ts_event=T0,
        order=_noun[Order],
        code=DenyCode.MAX_NOTIONAL,
        observed=Decimal("1041.20"),
        limit=Decimal(1000),
        by="risk_guardian",
        detail="order of 1041.20 USD",
    ),
    m.OrderSubmitted(ts_event=T0, order=_noun[Order]),
    m.OrderAccepted(ts_event=T0, venue_order_id=VENUE_ORDER_ID, **_OF_ORDER),
    m.OrderRejected(ts_event=T0, reason="market closed", **_OF_ORDER),
    m.OrderFilled(
        ts_event=T0,
        fill_id="paper-7-1",
        venue_order_id=VENUE_ORDER_ID,
        side=Side.BUY,
        last_qty=Decimal(600),
        last_px=Decimal("1.0413"),
        cum_qty=Decimal(600),
        leaves_qty=Decimal(400),
        avg_px=Decimal("1.0413"),
        commission=Decimal("0.02"),
        commission_currency="USD",
        ref_px=Decimal("1.0412"),
        slippage_bps=0.96,
        maker=True,
        **_OF_ORDER,
    ),
    m.OrderCanceled(ts_event=T0, leaves_qty=Decimal(400), reason="halted", **_OF_ORDER),
    m.OrderExpired(ts_event=T0, leaves_qty=Decimal(400), **_OF_ORDER),
    m.ExecutionStep(
        ts_event=T0,
        book=BOOK,
        step=7,
        cash={"USD": Decimal("98971.30")},
        positions=(_noun[Position],),
        open_orders=(_noun[OpenOrder],),
    ),
    m.IntentRecorded(ts_event=T0, client_order_id=ORDER_ID),
    m.IntentFailed(
        ts_event=T0,
        client_order_id=ORDER_ID,
        code=DenyCode.INTENT_NOT_RECORDED,
        detail="PostgreSQL does not answer",
    ),
    m.GuardianLost(ts_event=T0, silent_s=2.5),
    m.RiskStep(
        ts_event=T0,
        book=BOOK,
        step=7,
        trading_state=TradingState.ACTIVE,
        equity=Decimal("100012.50"),
        peak_equity=Decimal("100500.00"),
        drawdown=0.00485,
        gross_exposure=Decimal("1041.20"),
        exposure_factor=0.75,
        stop_factor=0.5,
        approved=1,
        denied=0,
        min_confidence=0.5,
        var_95_1d=0.004,
        heat=0.0002,
    ),
    m.TradingStateChanged(
        ts_event=T0,
        book=BOOK,
        state=TradingState.HALTED,
        previous=TradingState.ACTIVE,
        reason="drill",
        author="operator",
    ),
    m.LadderChanged(
        ts_event=T0,
        book=BOOK,
        ladder="drawdown",
        level=1,
        previous=0,
        observed=0.052,
        threshold=0.05,
        actions=("exposure x 0.75", "stops x 0.5"),
    ),
    m.HaltTrading(ts_event=T0, book=BOOK, author="operator", reason="drill", flatten=True),
    m.ResumeTrading(ts_event=T0, book=BOOK, author="operator", reason="drill over"),
    m.HaltScope(
        ts_event=T0,
        book=BOOK,
        author="operator",
        reason="under review",
        strategy_id=STRATEGY,
        instrument_id=EUR_USD,
        halted=True,
    ),
    m.ProposeOrders(ts_event=T0, book=BOOK, author="operator", orders=(_noun[Order],)),
    m.CancelOrder(ts_event=T0, book=BOOK, author="operator", client_order_id=ORDER_ID, reason="drill"),
    m.AmendOrder(
        ts_event=T0,
        book=BOOK,
        author="operator",
        client_order_id=ORDER_ID,
        qty=Decimal(800),
        limit_px=Decimal("1.0430"),
        stop_px=Decimal("1.0425"),
    ),
    m.AmendApproved(ts_event=T0, order=_noun[Order], step=7),
    m.OrderAmended(ts_event=T0, order=_noun[Order]),
    m.AmendRejected(ts_event=T0, order=_noun[Order], reason="too late to amend"),
    m.CancelRejected(ts_event=T0, reason="filled already", **_OF_ORDER),
    m.ExecutionPlanned(
        ts_event=T0,
        algorithm=Algorithm.TWAP,
        slices=4,
        end_ns=T0 + NS_PER_DAY,
        spread_bps=0.5,
        fee_bps=0.2,
        impact_bps=0.3,
        delay_bps=0.1,
        expected_bps=1.1,
        naive_bps=2.0,
        reason="large against the volume",
        **_OF_ORDER,
    ),
    m.OrderCosted(
        ts_event=T0,
        algorithm=Algorithm.TWAP,
        filled_qty=Decimal(1000),
        avg_px=Decimal("1.0413"),
        arrival_px=Decimal("1.0412"),
        slippage_bps=0.96,
        fee_bps=0.2,
        total_bps=1.16,
        expected_bps=1.1,
        maker_share=0.6,
        duration_ns=NS_PER_DAY,
        **_OF_ORDER,
    ),
    m.FinancingCharged(
        ts_event=T0,
        book=BOOK,
        account=ACCOUNT,
        instrument_id=EUR_USD,
        rolls=3,
        rolled_ns=T0 - NS_PER_DAY,
        px=Decimal("1.0413"),
        amount=Decimal("-0.085586"),
        currency="USD",
    ),
    m.ReconciliationBreak(
        ts_event=T0,
        book=BOOK,
        break_id="3-EUR-USD-POSITION",
        kind=BreakKind.POSITION,
        instrument_id=EUR_USD,
        ours=Decimal(1000),
        venue=Decimal(600),
        open=True,
        action="EUR-USD.ECB takes no new risk",
    ),
    m.Reconciled(ts_event=T0, book=BOOK, number=3, open_breaks=1),
    m.VenueHealth(
        ts_event=T0,
        book=BOOK,
        venue="paper",
        connected=False,
        usable=False,
        failures=5,
        reason="connection refused",
    ),
    m.VenueReported(ts_event=T0, report=_noun[Traded]),
    m.VenueSnapshot(
        ts_event=T0,
        number=3,
        orders=(_noun[VenueOrder],),
        positions={EUR_USD: Decimal(600)},
        cash={"USD": Decimal("98971.30")},
        trades=(_noun[Traded],),
    ),
    m.VenueConnection(
        ts_event=T0, venue="paper", connected=False, breaker_open=True, failures=5, reason="connection refused"
    ),
    m.ScopeHalted(
        ts_event=T0,
        book=BOOK,
        strategy_id=STRATEGY,
        instrument_id=EUR_USD,
        halted=True,
        reason="10 losing trades in a row",
        author="risk_guardian",
    ),
    m.RiskMeasured(
        ts_event=T0,
        book=BOOK,
        step=7,
        var={"historical_95": 0.004, "historical_99": None},
        es={"historical_95": 0.006, "historical_99": None},
        component_var={EUR_USD: 0.004},
        marginal_var={EUR_USD: 0.0038},
        by_currency={"EUR": 0.0104, "USD": -0.0104},
        by_sector={"": 0.0104},
        by_strategy={STRATEGY: 0.0104},
        heat=0.0002,
        concentration=1.0,
        liquidity_days=0.1,
        var_breaches=3,
        var_days=100,
        kupiec_p=0.3,
        christoffersen_p=0.6,
    ),
    m.StressTested(ts_event=T0, book=BOOK, step=7, results=(_noun[ScenarioResult],), asked_by="schedule"),
    m.RunStress(ts_event=T0, book=BOOK, author="operator"),
    m.AlertRaised(
        ts_event=T0,
        book=BOOK,
        alert_id="drawdown-1",
        severity=Severity.WARNING,
        summary="drawdown 5.2 % above 5 %",
        runbook="drawdown-level-1.md",
        escalation=0,
    ),
    m.AcknowledgeAlert(ts_event=T0, book=BOOK, author="operator", alert_id="drawdown-1"),
    m.AlertAcknowledged(ts_event=T0, book=BOOK, alert_id="drawdown-1", author="operator"),
    m.FeatureChanged(
        ts_event=T0,
        book=BOOK,
        service="signals",
        feature="strategy:mine",
        enabled=False,
        failures=3,
        reason="ZeroDivisionError: division by zero (mine.py:12)",
    ),
    m.EnableFeature(
        ts_event=T0, book=BOOK, author="operator", service="signals", feature="strategy:mine", reason="mended"
    ),
    m.ParametersChanged(
        ts_event=T0,
        book=BOOK,
        profile="fx",
        change_id="fx-3-1609459200000000000",
        plan="fx-20210101-000000",
        action="step",
        step=1,
        steps=4,
        moved=(_MOVED,),
        author="operator",
        reason="quieter sizing",
        evidence="9c1185a5c5e9fc54",
    ),
    m.LeaseTaken(ts_event=T0, service="execution", instance="1", token=4),
    m.ServiceStarted(ts_event=T0, service="execution", instance="1", build="0.1.0", contracts="5d41402abc4b2a76"),
)

EXAMPLES: Final[dict[type[msgspec.Struct], msgspec.Struct]] = {
    type(example): example for example in (*_NOUNS, _TARGET, _MOVED, *_MESSAGES)
}


def a(kind: type[T], **changes: Any) -> T:
    """The example of `kind`, a message or a struct inside one, with `changes` to its fields."""
    example = EXAMPLES[kind]
    assert isinstance(example, kind)
    return msgspec.structs.replace(example, **changes)


def envelope(message: Message, **changes: Any) -> Envelope:
    """`message` as a service would have sent it: third output of the sender at its tape position 41."""
    sent = Envelope(
        id=f"test-41-2-{message.TYPE}",
        type=message.TYPE,
        source="test",
        ts_event=message.ts_event,
        ts_init=message.ts_event + 1_500_000,
        correlation_id="feed-7",
        causation_id="feed-7-0",
        cause_seq=41,
        cause_index=2,
        data=msgspec.Raw(codec.encode(message)),
    )
    return msgspec.structs.replace(sent, **changes)
