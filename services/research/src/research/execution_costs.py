"""What the execution algorithms save on recorded prices, against sending every order to market at once (EXE-05).

Orders fall on the bars by a seeded draw, of standard size (a hundredth of a bar's mean volume) and large (all of it); where the
data has no volume, of a fixed notional. Each goes to two executions with the paper venue, one with algorithms and one
without, and what they say it cost is compared. The paper venue knows no market impact: to fills that cross it is added
here, by the same square-root law for both, and reported apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec
import numpy as np

from common.core import Effect
from common.messages.base import Message
from common.messages.control import InstrumentsDefined
from common.messages.market_data import MarketSlice
from common.messages.orders import Order, OrderApproved, OrderCosted, OrderFilled
from common.model.account import Account
from common.model.enums import Side
from common.model.instrument import Instrument
from common.model.run import Run
from common.runtime.settings import section
from execution.core import Execution
from execution.costs import impact_bps
from execution.market_view import InstrumentView, MarketView
from execution.settings import Settings
from market_data.feeds import open_feed
from market_data.settings import Settings as MarketDataSettings
from market_data.source import FeedSource
from research.backtest import answer

SIZES: Final = {"standard": 0.01, "large": 1.0}  # of a bar's mean volume
NOTIONALS: Final = {"standard": 10_000.0, "large": 1_000_000.0}  # in the quote currency, where volume is not known
_ACCOUNT: Final = Account(id="bench")
_ONE_BAR_IN: Final = 40  # gets an order
_ARRIVES_AFTER: Final = 100  # bars, when volatility and volume are known


class Outcome(msgspec.Struct, frozen=True):
    costed: OrderCosted
    impact_bps: float
    complete: bool


class Trial:
    """One execution and what became of the orders in it."""

    def __init__(self, settings: Settings) -> None:
        self._core = Execution(settings, _ACCOUNT)
        self._coefficient = settings.algorithms.impact_coefficient
        self._qty: dict[str, Decimal] = {}
        self._impact: dict[str, float] = {}
        self.outcomes: dict[str, Outcome] = {}

    def hear(self, message: Message, views: Mapping[str, InstrumentView]) -> None:
        """Intents are recorded at once."""
        for said in self._core.handle(message):
            if isinstance(said, Effect):
                for recorded in answer(said):
                    self.hear(recorded, views)
            elif isinstance(said, OrderFilled):
                self._on_fill(said, views[said.instrument_id])
            elif isinstance(said, OrderCosted):
                self._on_end(said)

    def approve(self, approved: OrderApproved, views: Mapping[str, InstrumentView]) -> None:
        self._qty[approved.order.client_order_id] = approved.order.qty
        self.hear(approved, views)

    def _on_fill(self, fill: OrderFilled, view: InstrumentView) -> None:
        if fill.maker:
            return
        paid = impact_bps(self._coefficient, view.sigma_bps(view.bar_ns), float(fill.last_qty), view.volume)
        of_all = float(fill.last_qty / self._qty[fill.client_order_id])
        self._impact[fill.client_order_id] = self._impact.get(fill.client_order_id, 0.0) + paid * of_all

    def _on_end(self, costed: OrderCosted) -> None:
        name = costed.client_order_id
        complete = costed.filled_qty == self._qty[name]
        self.outcomes[name] = Outcome(costed, self._impact.get(name, 0.0), complete)


class Draw:
    """Which bars get an order, and which: the same for the same seed."""

    def __init__(self, orders: int, seed: int, instruments: Iterable[Instrument]) -> None:
        self._chance = np.random.default_rng(seed)
        self._left = {(i.instrument_id, size): orders for i in instruments for size in SIZES}
        self._instruments = {instrument.instrument_id: instrument for instrument in instruments}

    def orders(self, message: MarketSlice, views: Mapping[str, InstrumentView]) -> Iterator[Order]:
        for bar in message.bars:
            if self._chance.random() * _ONE_BAR_IN >= 1 or views[bar.instrument_id].bars < _ARRIVES_AFTER:
                continue
            size = ("standard", "large")[int(self._chance.integers(2))]
            side = (Side.BUY, Side.SELL)[int(self._chance.integers(2))]
            if self._left[bar.instrument_id, size] > 0:
                self._left[bar.instrument_id, size] -= 1
                yield self._order(bar.instrument_id, size, side, views[bar.instrument_id], message.step)

    def _order(self, instrument_id: str, size: str, side: Side, view: InstrumentView, step: int) -> Order:
        instrument = self._instruments[instrument_id]
        qty = SIZES[size] * view.volume if view.volume > 0 else NOTIONALS[size] / view.mid
        return Order(
            client_order_id=f"{instrument_id}/{size}/{step}",
            account=_ACCOUNT.id,
            strategy_id="bench",
            instrument_id=instrument_id,
            side=side,
            qty=max(instrument.round_qty(qty), instrument.qty_increment),
            ref_px=Decimal(repr(view.mid)),
        )


def execution_costs(config: Mapping[str, Any], *, orders: int, seed: int) -> dict[str, Any]:
    """Both ways of trading `orders` orders of each size in every instrument of the data, by instrument and size and in all.
    Costs in basis points, positive is worse; reductions and shares are fractions.
    """
    settings = section(config, "execution", Settings)
    worked = msgspec.structs.replace(settings.algorithms, enabled=True)
    naive = msgspec.structs.replace(settings.algorithms, enabled=False)
    trials = tuple(Trial(msgspec.structs.replace(settings, algorithms=way)) for way in (naive, worked))
    _run(_feed(config), trials, orders, seed)
    groups: dict[str, list[tuple[Outcome, Outcome]]] = {f"all/{size}": [] for size in SIZES}
    for name, at_once in trials[0].outcomes.items():
        if (other := trials[1].outcomes.get(name)) is None:
            continue  # the data ended first
        instrument_id, size, _ = name.split("/")
        groups[f"all/{size}"].append((at_once, other))
        groups.setdefault(f"{instrument_id}/{size}", []).append((at_once, other))
    return {
        "fees_bps": {"taker": settings.taker_bps, "maker": settings.maker_bps},
        "seed": seed,
        **{name: _summary(pairs) for name, pairs in groups.items() if pairs},
    }


def _feed(config: Mapping[str, Any]) -> FeedSource:
    """The base bars of the data and nothing built of them."""
    run = section(config, "run", Run)
    settings = msgspec.structs.replace(section(config, "market_data", MarketDataSettings), timeframes=())
    feed = open_feed(run.data, settings=settings, start_ns=run.start_ns, end_ns=run.end_ns)
    return FeedSource(settings, feed, run)


def _run(feed: FeedSource, trials: tuple[Trial, ...], orders: int, seed: int) -> None:
    market, instruments = MarketView(), {}
    draw = Draw(0, seed, ())
    for message in feed.messages():
        if isinstance(message, InstrumentsDefined):
            instruments = {instrument.instrument_id: instrument for instrument in message.instruments}
            draw = Draw(orders, seed, message.instruments)
        if isinstance(message, MarketSlice):
            market.observe(message, instruments)
        for trial in trials:
            trial.hear(message, market.instruments)
        if isinstance(message, MarketSlice):
            for order in draw.orders(message, market.instruments):
                approved = OrderApproved(ts_event=message.ts_event, order=order, step=message.step)
                for trial in trials:
                    trial.approve(approved, market.instruments)


def _summary(pairs: list[tuple[Outcome, Outcome]]) -> dict[str, Any]:
    naive, worked = [one for one, _ in pairs], [other for _, other in pairs]
    saved = np.array([one.costed.total_bps - other.costed.total_bps for one, other in pairs])
    before, after = _mean(naive, "total_bps"), _mean(worked, "total_bps")
    impact_before, impact_after = (float(np.mean([one.impact_bps for one in ones])) for ones in (naive, worked))
    used = [str(one.costed.algorithm) for one in worked]
    return {
        "orders": len(pairs),
        "naive_bps": round(before, 3),
        "worked_bps": round(after, 3),
        "saved_standard_error_bps": round(float(saved.std() / len(pairs) ** 0.5), 3),
        "cost_reduction": _reduction(before, after),
        "cost_reduction_with_impact": _reduction(before + impact_before, after + impact_after),
        "impact_bps": {"naive": round(impact_before, 3), "worked": round(impact_after, 3)},
        "slippage_bps": {
            "naive": round(_mean(naive, "slippage_bps"), 3),
            "worked": round(_mean(worked, "slippage_bps"), 3),
        },
        "expected_bps": round(_mean(worked, "expected_bps"), 3),
        "maker_share": round(_mean(worked, "maker_share"), 4),
        "filled_completely": round(float(np.mean([one.complete for one in worked])), 4),
        "mean_minutes": round(_mean(worked, "duration_ns") / 60e9, 2),
        "algorithms": {name: used.count(name) for name in sorted(set(used))},
    }


def _mean(outcomes: list[Outcome], of: str) -> float:
    return float(np.mean([getattr(outcome.costed, of) for outcome in outcomes]))


def _reduction(before: float, after: float) -> float | None:
    """Share of `before` that is saved; None where nothing was paid."""
    return round(1 - after / before, 4) if before > 0 else None
