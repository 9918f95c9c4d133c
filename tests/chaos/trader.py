"""Somebody who wants to trade, whatever dies: proposes orders as an operator, a bounded number of them at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tests.chaos.market import PRICES, market, proposal, resting
from tests.chaos.orders import Orders
from tests.chaos.plant import Plant

BATCH = 10
WINDOW = 150
REST_EVERY = 10
MOVE_EVERY_S = 2.0
PATIENCE_S = 60.0


class Trader:
    """Goes on until `enough`. Every tenth order rests; the market wanders, so that these fill in the end."""

    def __init__(
        self, plant: Plant, prefix: str, *, window: int = WINDOW, batch: int = BATCH, pause_s: float = 0.0
    ) -> None:
        self.orders = Orders(prefix)
        self.sent = 0
        self.names: list[str] = []  # acknowledged by the tape
        self.rest_every = REST_EVERY  # one in so many waits for the market
        self._plant = plant
        self._prefix = prefix
        self._window = window
        self._batch = batch
        self._pause_s = pause_s
        plant.witness.hear.append(self.orders.hear)

    async def trade(self, enough: Callable[[], bool]) -> None:
        while not enough():
            if self.sent - len(self.orders.over) >= self._window:
                await asyncio.sleep(0.005)
                continue
            numbers = range(self.sent, self.sent + self._batch)
            batch = [(resting if n % self.rest_every == 0 else market)(f"{self._prefix}{n}", n) for n in numbers]
            await self._plant.operator.say((f"{self._prefix}:{self.sent}", proposal(*batch)))
            self.sent += self._batch
            self.names += [order.client_order_id for order in batch]
            if self._pause_s:
                await asyncio.sleep(self._pause_s)

    async def give_up(self) -> None:
        """Returns when every order is over; what waits for the market is canceled by the venue's own staff."""
        end = time.monotonic() + PATIENCE_S
        while self._open() and time.monotonic() < end:
            await self._plant.desk.cancel_all()
            await asyncio.sleep(0.2)
        await self.settle(0.0)

    async def settle(self, within_s: float = PATIENCE_S) -> None:
        """Returns when every order is over. Raises AssertionError naming some that are not."""
        end = time.monotonic() + within_s
        while names := self._open():
            assert time.monotonic() < end, f"{len(names)} orders are not over: {', '.join(names[:5])}"
            await asyncio.sleep(0.05)

    def _open(self) -> list[str]:
        return [name for name in self.names if name not in self.orders.over]


async def wander(plant: Plant) -> None:
    """For ever: the venue's market goes below all resting buys, above all resting sells, and back."""
    while True:
        for factor in (1.0, 0.985, 1.0, 1.015):
            await plant.desk.move({name: px * factor for name, px in PRICES.items()})
            await asyncio.sleep(MOVE_EVERY_S)
