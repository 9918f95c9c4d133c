"""What is traded in a drill: a few pairs in dollars at prices that stand still, and orders on them."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any, Final

from tests.chaos.voices import Voice

from common.messages.control import InstrumentsDefined, RunStarted
from common.messages.market_data import MarketSlice, Quote
from common.messages.orders import Order, ProposeOrders
from common.model.enums import AssetClass, OrderType, Side
from common.model.instrument import Instrument
from common.model.time import Timeframe

BOOK: Final = "drill"
CASH: Final = 100_000_000
PRICES: Final = {"EUR-USD.ECB": 1.1, "GBP-USD.ECB": 1.3, "AUD-USD.ECB": 0.7, "NZD-USD.ECB": 0.6}
NAMES: Final = tuple(PRICES)
SLICE_EVERY_S: Final = 5.0
_WIDE: Final = 1_000_000

# Wide, so that nothing but the drill decides what reaches the venue. The checks themselves stay on: nothing switches them off.
LIMITS: Final[dict[str, Any]] = {
    "max_order_notional": _WIDE,
    "max_position": _WIDE,
    "max_gross_exposure": _WIDE,
    "max_net_exposure": _WIDE,
    "max_leverage": _WIDE,
    "max_correlated": 0,
    "max_var_95_1d": 0,
    "max_daily_loss": 0,
    "max_drawdown": 0,
    "max_currency": 0,
    "session": "always",
    "orders_per_minute": 20_000,
    "strategy_orders_per_minute": 20_000,
    "cancels_per_minute": 20_000,
    "strategy_cancels_per_minute": 20_000,
    "notional_per_minute": _WIDE,
    "max_open_orders": 5_000,
    "duplicate_window_s": 0,
    "max_repeats": 20_000,
}


def instruments() -> tuple[Instrument, ...]:
    return tuple(
        Instrument(
            instrument_id=name,
            asset_class=AssetClass.FX,
            base=name[:3],
            quote="USD",
            price_increment=Decimal("0.0001"),
            qty_increment=Decimal(1),
            half_spread=Decimal("0.0001"),
        )
        for name in NAMES
    )


def market(name: str, number: int, strategy_id: str = "drill") -> Order:
    """Buys and sells by turns, so that positions stay small; fills at once."""
    side = Side.BUY if number % 2 else Side.SELL
    return _order(name, number, side, strategy_id)


def resting(name: str, number: int, strategy_id: str = "drill") -> Order:
    """A limit 1 % away from the market: it works until the market moves there or it is canceled."""
    side = Side.BUY if number % 2 else Side.SELL
    px = Decimal(str(round(PRICES[_name(number)] * (0.99 if side is Side.BUY else 1.01), 4)))
    return _order(name, number, side, strategy_id, order_type=OrderType.LIMIT, limit_px=px)


def proposal(*orders: Order) -> ProposeOrders:
    return ProposeOrders(ts_event=time.time_ns(), book=BOOK, author="drill", orders=orders)


def _name(number: int) -> str:
    return NAMES[number // 2 % len(NAMES)]


def _order(name: str, number: int, side: Side, strategy_id: str, **terms: Any) -> Order:
    instrument_id = _name(number)
    return Order(
        client_order_id=name,
        account="paper",
        strategy_id=strategy_id,
        instrument_id=instrument_id,
        side=side,
        qty=Decimal(100 + number % 50),
        ref_px=Decimal(str(PRICES[instrument_id])),
        **terms,
    )


class Feed:
    """Speaks as market_data: a run, its instruments, and a slice with a quote of each every few seconds of real time."""

    def __init__(self, voice: Voice) -> None:
        self.step = 0
        self.paused = False
        self.ahead_ns = 0  # of the wall clock
        self._voice = voice
        self._saying = asyncio.Lock()

    async def open(self, config: str) -> None:
        now = time.time_ns()
        begun = RunStarted(ts_event=now, book=BOOK, profile="drill", data="drill", lockstep=False, config=config)
        defined = InstrumentsDefined(
            ts_event=now,
            book=BOOK,
            account_currency="USD",
            instruments=instruments(),
            base_timeframes=(Timeframe.M1,) * len(NAMES),
        )
        await self._voice.say(("run", begun), ("instruments", defined))
        await self.slice()

    async def close(self) -> None:
        await self._voice.close()

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(SLICE_EVERY_S)
            if not self.paused:
                await self.slice()

    async def slice(self, **changes: Any) -> int:
        """The next one, at the time of now unless told otherwise. Returns its sequence."""
        return (await self.slices(1, **changes))[0]

    async def slices(self, count: int, **changes: Any) -> list[int]:
        """So many, as fast as they can be said."""
        async with self._saying:
            first = self.step + 1
            self.step += count
            said = [(f"slice:{step}", self._next(step, changes)) for step in range(first, first + count)]
            return await self._voice.say(*said)

    def _next(self, step: int, changes: dict[str, Any]) -> MarketSlice:
        quotes = tuple(
            Quote(instrument_id=name, bid=px - 0.0001, ask=px + 0.0001, bid_size=1e9, ask_size=1e9)
            for name, px in PRICES.items()
        )
        plain: dict[str, Any] = {"ts_event": time.time_ns() + self.ahead_ns, "quotes": quotes, **changes}
        return MarketSlice(book=BOOK, step=step, **plain)
