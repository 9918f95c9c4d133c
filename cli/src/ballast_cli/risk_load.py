"""The load of `ballast bench risk`: a guardian with every limit set, a market that moves by itself, and a desk that trades in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.messages.base import Message
from common.messages.market_data import Bar, MarketSlice, Quote
from common.messages.orders import Order, OrderApproved, OrderCanceled, OrderFilled
from common.messages.portfolio import Contribution, PortfolioStep, Target
from common.model.account import Account
from common.model.enums import AssetClass, OrderType, Side
from common.model.instrument import Instrument
from common.model.money import ZERO
from common.model.time import NS_PER_DAY, Timeframe
from risk_guardian.core import RiskGuardian
from risk_guardian.limits import Limits, Session
from risk_guardian.policy import METRICS, Ladders, Level
from risk_guardian.scenarios import Scenario, load
from risk_guardian.settings import Settings
from risk_guardian.streaks import StreakSettings

POSITIONS: Final = 50
DAYS: Final = 500
RESTING: Final = 20
BOOK: Final = "bench"
CASH: Final = Decimal(10_000_000)
MONDAY_NS: Final = 18_631 * NS_PER_DAY  # 2021-01-04; the FX week that begins there has more than 6,000 minutes
STRATEGIES: Final = ("trend_fast", "trend_slow", "breakout", "carry")
MANUAL: Final = ("carry_desk", "hedge_desk")  # people's orders; everybody else's are the book's
SECTORS: Final = ("majors", "chains", "exchanges", "payments", "storage")
PAIRS: Final = ("EUR-USD", "GBP-USD", "AUD-USD", "NZD-USD", "USD-CHF", "USD-CAD", "USD-JPY")
CROSSES: Final = ("EUR-GBP", "EUR-JPY", "GBP-JPY", "EUR-CHF", "AUD-NZD")
LIMITED: Final = {"march_2020": 0.30, "correlation_to_one": 0.45, "btc_minus_50": 0.40}
FAR: Final = {"volatility": 1e3, "connection": 1e9}  # of ladders that are not watching a fraction

Floats = NDArray[np.float64]


# --- the guardian ------------------------------------------------------------------------------------------------------


def _instruments() -> tuple[Instrument, ...]:
    coins = tuple(f"C{number:02d}-USDT" for number in range(POSITIONS - len(PAIRS) - len(CROSSES)))
    return tuple(_instrument(symbol) for symbol in (*PAIRS, *CROSSES, *coins))


def _instrument(symbol: str) -> Instrument:
    base, _, quote = symbol.partition("-")
    coin = quote == "USDT"
    venue = "ECB" if not coin else ("BINANCE", "KRAKEN")[int(base[1:]) % 2]
    tick = Decimal("0.001") if quote == "JPY" else Decimal("0.00001")
    return Instrument(
        instrument_id=f"{symbol}.{venue}",
        asset_class=AssetClass.CRYPTO if coin else AssetClass.FX,
        base=base,
        quote=quote,
        price_increment=tick,
        qty_increment=Decimal("0.0001") if coin else Decimal(1),
        half_spread=tick * 5,
    )


INSTRUMENTS: Final = _instruments()
ALL_ON: Final = Limits(
    max_order_qty=2_000_000.0,
    max_order_notional=0.10,
    max_position=0.12,
    max_gross_exposure=3.2,
    max_net_exposure=2.5,
    max_leverage=3.5,
    max_deployed=3.3,
    max_volume_share=0.5,
    require_volume=True,
    max_currency=1.0,
    max_strategy_type=2.0,
    strategy_types={"trend": "trend", "breakout": "breakout", "carry": "carry"},
    max_sector=1.0,
    sectors={each.symbol: SECTORS[number % len(SECTORS)] for number, each in enumerate(INSTRUMENTS)},
    max_correlated=2.5,
    max_var_95_1d=0.0155,
    max_es_95_1d=0.02,
    max_stress_loss=0.60,
    require_var=True,
    max_heat=0.50,
    max_daily_loss=0.20,
    max_drawdown=0.50,
    require_quote=True,
    session=Session.FX_WEEK,
    restricted=("C99-USDT",),
)


def without_measures(limits: Limits) -> Limits:
    """Everything that needs the book's history or the scenarios is off."""
    return msgspec.structs.replace(
        limits, max_correlated=0.0, max_var_95_1d=0.0, max_es_95_1d=0.0, max_stress_loss=0.0, max_heat=0.0
    )


def scenarios() -> dict[str, Scenario]:
    """Those that ship, three of them with limits of their own."""
    return {
        name: msgspec.structs.replace(each, limit=LIMITED[name]) if name in LIMITED else each
        for name, each in load().items()
    }


def guardian(limits: Limits, stress: dict[str, Scenario]) -> RiskGuardian:
    """Ladders and streaks watch, but out of reach: a book that they cut has no fifty positions left to judge against."""
    ladders = Ladders(**{name: (Level(trigger=FAR.get(name, 1.0), release=0.9),) for name in METRICS})
    settings = Settings(limits=limits, ladders=ladders, streaks=StreakSettings(max_losses=1_000_000))
    return RiskGuardian(settings, Account(starting_cash=CASH), stress)


# --- what it is told ----------------------------------------------------------------------------------------------------


class Market:
    """Prices that go on by themselves: one common factor and as much of each instrument's own. Equal seeds, equal prices."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(7)
        coin = np.array([each.quote == "USDT" for each in INSTRUMENTS])
        self._sigma = np.where(coin, 0.02, 0.006)
        self.px: Floats = np.array([110.0 if each.quote == "JPY" else 1.0 for each in INSTRUMENTS])
        self._volume = np.full(POSITIONS, 5e7)

    def slice(self, ts: int, step: int, timeframe: Timeframe) -> MarketSlice:
        share = np.sqrt(timeframe.ns / NS_PER_DAY)
        moves = (self.rng.standard_normal() + self.rng.standard_normal(POSITIONS)) * self._sigma * share / np.sqrt(2)
        self.px = self.px * np.exp(moves)
        bars, quotes = [], []
        for instrument, px, volume in zip(INSTRUMENTS, self.px.tolist(), self._volume.tolist(), strict=True):
            half = float(instrument.half_spread)
            bars.append(
                Bar(
                    instrument_id=instrument.instrument_id,
                    timeframe=timeframe,
                    open=px,
                    high=px,
                    low=px,
                    close=px,
                    volume=volume * timeframe.ns / NS_PER_DAY,
                    spread_close=2 * half,
                )
            )
            quotes.append(Quote(instrument_id=instrument.instrument_id, bid=px - half, ask=px + half))
        return MarketSlice(ts_event=ts, book=BOOK, step=step, bars=tuple(bars), quotes=tuple(quotes))


class Desk:
    """Proposes one order a step, lets market orders fill at the next and limit orders rest until there are `RESTING`."""

    def __init__(self, core: RiskGuardian, market: Market) -> None:
        self._core, self._market = core, market
        self._filling: list[Order] = []
        self._resting: deque[Order] = deque()
        self._number = 0

    def stock(self, ts: int) -> Iterator[OrderFilled]:
        """A position in everything, two thirds of them long, with room left under every limit."""
        for row in range(POSITIONS):
            weight = (0.05 if row % 3 else -0.05) * float(self._market.rng.uniform(0.8, 1.2))
            yield self._fill(self._order(row, weight, OrderType.MARKET, "book"), ts)

    def after_the_last_step(self, ts: int) -> Iterator[Message]:
        for order in self._filling:
            yield self._fill(order, ts)
        self._filling = []
        while len(self._resting) > RESTING:
            order = self._resting.popleft()
            yield OrderCanceled(
                ts_event=ts,
                client_order_id=order.client_order_id,
                account=order.account,
                strategy_id=order.strategy_id,
                instrument_id=order.instrument_id,
                leaves_qty=order.qty,
                reason="replaced",
            )

    def propose(self, ts: int, step: int) -> PortfolioStep:
        """Toward another weight of some instrument: most fit, some are too large, now and then one is far too large."""
        rng, row = self._market.rng, int(self._market.rng.integers(POSITIONS))
        held = float(self._core.state.ledger.qty(INSTRUMENTS[row].instrument_id)) * self._unit(row) / float(CASH)
        wanted = float(rng.uniform(-0.13, 0.13)) * (3.0 if rng.random() < 0.05 else 1.0)
        rests = rng.random() < 0.3
        strategy = "book" if rng.random() < 0.9 else MANUAL[int(rng.integers(len(MANUAL)))]
        order = self._order(row, wanted - held, OrderType.LIMIT if rests else OrderType.MARKET, strategy)
        return PortfolioStep(
            ts_event=ts,
            book=BOOK,
            step=step,
            equity=CASH,
            gross_exposure=ZERO,
            net_exposure=ZERO,
            total_risk=ZERO,
            targets=(_target(order, wanted),),
            orders=(order,),
        )

    def hear(self, said: Message) -> None:
        if isinstance(said, OrderApproved):
            market = said.order.order_type is OrderType.MARKET
            (self._filling if market else self._resting).append(said.order)

    def _unit(self, row: int) -> float:
        quote, px = INSTRUMENTS[row].quote, float(self._market.px[row])
        symbols = [each.symbol for each in INSTRUMENTS]
        if f"{quote}-USD" in symbols:
            return px * float(self._market.px[symbols.index(f"{quote}-USD")])
        return px / float(self._market.px[symbols.index(f"USD-{quote}")]) if f"USD-{quote}" in symbols else px

    def _order(self, row: int, weight: float, order_type: OrderType, strategy: str) -> Order:
        instrument, px = INSTRUMENTS[row], float(self._market.px[row])
        self._number += 1
        limit = px * (0.99 if weight > 0 else 1.01) if order_type is OrderType.LIMIT else None
        qty = instrument.round_qty(abs(weight) * float(CASH) / self._unit(row))
        return Order(
            client_order_id=f"bench-{self._number}",
            account="paper",
            strategy_id=strategy,
            instrument_id=instrument.instrument_id,
            side=Side.BUY if weight > 0 else Side.SELL,
            qty=max(qty, instrument.qty_increment),
            ref_px=instrument.round_price(px),
            order_type=order_type,
            limit_px=None if limit is None else instrument.round_price(limit),
        )

    def _fill(self, order: Order, ts: int) -> OrderFilled:
        return OrderFilled(
            ts_event=ts,
            fill_id=f"fill-{order.client_order_id}",
            client_order_id=order.client_order_id,
            venue_order_id=order.client_order_id,
            account=order.account,
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            side=order.side,
            last_qty=order.qty,
            last_px=order.ref_px,
            cum_qty=order.qty,
            leaves_qty=ZERO,
            avg_px=order.ref_px,
            commission=ZERO,
            commission_currency="USD",
            ref_px=order.ref_px,
            slippage_bps=0.0,
        )


def _target(order: Order, weight: float) -> Target:
    """All strategies alike; a hundredth of the position is lost at the stop."""
    risk = CASH * Decimal(repr(abs(weight))) / 100
    contributions = tuple(
        Contribution(
            strategy_id=strategy,
            timeframe="1m",
            signed_qty=order.signed_qty / len(STRATEGIES),
            risk=risk / len(STRATEGIES),
            base=order.qty,
            volatility_adjustment=1.0,
            correlation_adjustment=1.0,
            regime_adjustment=1.0,
            reason="bench",
        )
        for strategy in STRATEGIES
    )
    return Target(
        instrument_id=order.instrument_id,
        signed_qty=order.signed_qty,
        held_qty=ZERO,
        contributions=contributions,
        reason="bench",
    )
