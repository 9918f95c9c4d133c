"""NautilusTrader's low-level backtest engine. A market order sent while a bar is handled fills at that bar's close."""

from __future__ import annotations

from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from nautilus_trader.backtest.config import BacktestEngineConfig  # type: ignore[import-not-found]
from nautilus_trader.backtest.engine import BacktestEngine  # type: ignore[import-not-found]
from nautilus_trader.config import LoggingConfig, RiskEngineConfig  # type: ignore[import-not-found]
from nautilus_trader.indicators import SimpleMovingAverage  # type: ignore[import-not-found]
from nautilus_trader.model.currencies import EUR, USD  # type: ignore[import-not-found]
from nautilus_trader.model.data import Bar, BarType  # type: ignore[import-not-found]
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide  # type: ignore[import-not-found]
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue  # type: ignore[import-not-found]
from nautilus_trader.model.instruments import CurrencyPair  # type: ignore[import-not-found]
from nautilus_trader.model.objects import Money, Price, Quantity  # type: ignore[import-not-found]
from nautilus_trader.persistence.wranglers import BarDataWrangler  # type: ignore[import-not-found]
from nautilus_trader.trading.strategy import Strategy  # type: ignore[import-not-found]
from tools.bench_engines.case import CASH, FAST, FEE, SLOW, UNITS, Answer, Fill, main, trades

VENUE = Venue("SIM")
PAIR = CurrencyPair(
    instrument_id=InstrumentId(Symbol("EUR/USD"), VENUE),
    raw_symbol=Symbol("EUR/USD"),
    base_currency=EUR,
    quote_currency=USD,
    price_precision=5,
    size_precision=0,
    price_increment=Price(1e-5, 5),
    size_increment=Quantity.from_int(1),
    lot_size=Quantity.from_int(1),
    margin_init=Decimal("0.03"),
    margin_maint=Decimal("0.03"),
    maker_fee=Decimal(str(FEE)),
    taker_fee=Decimal(str(FEE)),
    ts_event=0,
    ts_init=0,
)


class Flip(Strategy):  # type: ignore[misc]
    def __init__(self, bar_type: BarType) -> None:
        super().__init__()
        self.bar_type = bar_type
        self.fast, self.slow = SimpleMovingAverage(FAST), SimpleMovingAverage(SLOW)
        self.side = 0

    def on_start(self) -> None:
        self.register_indicator_for_bars(self.bar_type, self.fast)
        self.register_indicator_for_bars(self.bar_type, self.slow)
        self.subscribe_bars(self.bar_type)

    def on_bar(self, bar: Bar) -> None:
        if not self.slow.initialized:
            return
        fast, slow = self.fast.value, self.slow.value
        side = int(fast > slow) - int(fast < slow)
        if side == self.side:
            return
        moved, self.side = (side - self.side) * UNITS, side
        order_side = OrderSide.BUY if moved > 0 else OrderSide.SELL
        self.submit_order(self.order_factory.market(PAIR.id, order_side, Quantity.from_int(abs(moved))))


def run(path: Path) -> Answer:
    bars = pd.read_parquet(path).set_index("timestamp")
    bars["volume"] = 1e6
    bars.index += bars.index[1] - bars.index[0]  # known when it closes
    minutes = round((bars.index[1] - bars.index[0]).total_seconds() / 60)
    step = f"{minutes // 60}-HOUR" if minutes % 60 == 0 else f"{minutes}-MINUTE"
    bar_type = BarType.from_str(f"{PAIR.id}-{step}-LAST-EXTERNAL")
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(max_order_submit_rate="1000000/00:00:01"),
            run_analysis=False,
        )
    )
    engine.add_venue(VENUE, OmsType.NETTING, AccountType.MARGIN, [Money(CASH, USD)], base_currency=USD)
    engine.add_instrument(PAIR)
    engine.add_data(BarDataWrangler(bar_type, PAIR).process(bars))
    engine.add_strategy(Flip(bar_type))
    engine.run()
    closes = bars.index.as_unit("ns").asi8
    found = [
        Fill(
            int(np.searchsorted(closes, order.ts_last)),
            float(order.filled_qty) * (1 if order.side == OrderSide.BUY else -1),
            float(order.avg_px),
        )
        for order in engine.cache.orders_closed()
        if order.filled_qty > 0
    ]
    engine.dispose()
    return trades(sorted(found))


if __name__ == "__main__":
    main(version("nautilus_trader"), run)
