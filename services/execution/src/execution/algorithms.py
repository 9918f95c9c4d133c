"""How an order is worked (EXE-05): of a table of ways, the one whose expected cost is least.

A way is a schedule (all at once, equal slices, slices by the day's volume) and a manner (cross the spread, or post
a limit that follows the market, and cross when patience ends). Prices are taken to have no drift and a posted order to fill
when the far side comes through its price, as the paper venue has it. Then, by optional stopping, posting earns nothing on the
price: it pays half the spread like everybody, and saves the difference of the fees. What it loses besides, because it
is filled when prices move against it and canceled when they run away at once, is `adverse_selection`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import accumulate, pairwise
from math import inf
from typing import Annotated, Final, NamedTuple

import msgspec

from common.messages.orders import ExecutionPlanned, Order
from common.model.enums import Algorithm, OrderType, TimeInForce
from common.model.parties import GUARDIAN
from execution.costs import Costs, Fees, delay_bps, impact_bps, mean_wait, reach_probability
from execution.market_view import InstrumentView

Meta = msgspec.Meta


class AlgorithmSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section `[execution.algorithms]`."""

    enabled: Annotated[bool, Meta(description="work orders where that is cheaper; false sends them all at once")] = (
        False
    )
    work_exits: Annotated[bool, Meta(description="also those that only reduce a position")] = False
    max_bars: Annotated[int, Meta(ge=1, le=1440, description="longest time to work an order, in base bars")] = 60
    patience_bars: Annotated[int, Meta(ge=1, le=1440, description="bars a posted order waits before it crosses")] = 10
    participation: Annotated[
        float, Meta(gt=0, le=1, description="standard size: share of the expected volume a slice should not exceed")
    ] = 0.1
    improve: Annotated[
        float,
        Meta(
            ge=0, le=1, description="share of the spread by which posted prices better the near side; 1: a tick short"
        ),
    ] = 1.0
    impact_coefficient: Annotated[float, Meta(ge=0, le=10, description="of the square-root law of market impact")] = 1.0
    adverse_selection: Annotated[
        float, Meta(ge=0, le=2, description="what a posted fill loses on the price, in standard deviations of a bar")
    ] = 0.08
    risk_weight: Annotated[
        float, Meta(ge=0, le=10, description="price of a standard deviation while waiting, at urgency 0.5")
    ] = 0.05
    min_saving_bps: Annotated[
        float, Meta(ge=0, le=1000, description="a way other than at once must save this much against it")
    ] = 0.1
    min_child_notional: Annotated[
        float, Meta(ge=0, description="slices are not cut smaller than this, in the quote currency")
    ] = 10.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Slice i begins at `start_ns + i · interval_ns` with the part `through[i]` (of all, the slices before included; empty:
    equal parts). With `patience_ns` > 0 it is posted and what is left of it crosses after so long; else it crosses at once.
    All has been sent across by `end_ns`. `min_qty` is the least a slice may be; `naive` what a market order at once would
    cost. Both costs are zero where the market is not known.
    """

    algorithm: Algorithm
    start_ns: int
    end_ns: int
    slices: int = 1
    interval_ns: int = 0
    patience_ns: int = 0
    through: tuple[float, ...] = ()
    improve: float = 0.0
    min_qty: Decimal = Decimal(0)
    costs: Costs = Costs()
    naive: Costs = Costs()
    reason: str = ""

    @property
    def direct(self) -> bool:
        """The order itself goes to the venue as it is; nothing is to be worked."""
        return self.slices == 1 and not self.patience_ns


class _Way(NamedTuple):
    algorithm: Algorithm
    posted: bool
    sliced: bool = False
    by_volume: bool = False


# Simple ways first: a later one must save `min_saving_bps` against the best before it.
_WAYS: Final = (
    _Way(Algorithm.MARKET, posted=False),
    _Way(Algorithm.LIMIT, posted=True),
    _Way(Algorithm.TWAP, posted=False, sliced=True),
    _Way(Algorithm.TWAP, posted=True, sliced=True),
    _Way(Algorithm.VWAP, posted=False, sliced=True, by_volume=True),
    _Way(Algorithm.VWAP, posted=True, sliced=True, by_volume=True),
)
_SLICES: Final = (2, 4, 8, 16, 32, 64, 128, 256)

# Why an order goes to the venue as it is. Asked in this order.
_AT_ONCE: Final[tuple[tuple[str, Callable[[Order, AlgorithmSettings], bool]], ...]] = (
    ("algorithms are off", lambda order, settings: not settings.enabled),
    ("it names its own price", lambda order, settings: order.order_type is not OrderType.MARKET),
    ("asked for", lambda order, settings: order.algorithm is Algorithm.MARKET),
    ("urgent", lambda order, settings: order.urgency >= 1),
    ("the guardian's", lambda order, settings: order.strategy_id == GUARDIAN),
    ("it reduces a position", lambda order, settings: order.reduce_only and not settings.work_exits),
    ("now or never", lambda order, settings: order.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}),
)


class _Situation(NamedTuple):
    order: Order
    view: InstrumentView
    settings: AlgorithmSettings
    fees: Fees
    ts: int


class _Slice(NamedTuple):
    """`volume` of a bar at the time of the slice; 0: not known."""

    qty: float
    volume: float


def choose(order: Order, view: InstrumentView | None, settings: AlgorithmSettings, fees: Fees, ts: int) -> Plan:
    """The cheapest way by expectation; at once where that is forced or the market is not known. Where a way keeps every slice
    to the standard size, those that do not are out. An order's own `algorithm` is kept to, whatever it costs.
    """
    reason = next((reason for reason, applies in _AT_ONCE if applies(order, settings)), "")
    if not settings.enabled or order.order_type is not OrderType.MARKET or view is None or not view.ready:
        return _at_once(order, ts, reason or "the market is not known yet")
    now = _Situation(order, view, settings, fees, ts)
    naive, _ = _plan(now, _WAYS[0], 1)
    if reason:
        return msgspec.structs.replace(naive, reason=reason)
    plans = [found for found in _plans(now, naive.min_qty) if _in_time(found[0], order)]
    if not plans:
        return msgspec.structs.replace(naive, reason="no other way fits")
    standard = [plan for plan, largest_share in plans if largest_share <= settings.participation]
    best = _cheapest(standard or [plan for plan, _ in plans], settings.min_saving_bps)
    saving = naive.costs.expected_bps - best.costs.expected_bps
    reason = f"{best.costs.expected_bps:.2f} bps expected, {saving:.2f} less than at once"
    return msgspec.structs.replace(best, naive=naive.costs, reason=reason)


def planned(order: Order, plan: Plan, ts: int) -> ExecutionPlanned:
    """The plan as it is said on the tape."""
    costs = plan.costs
    return ExecutionPlanned(
        ts_event=ts,
        client_order_id=order.client_order_id,
        account=order.account,
        strategy_id=order.strategy_id,
        instrument_id=order.instrument_id,
        algorithm=plan.algorithm,
        slices=plan.slices,
        end_ns=plan.end_ns,
        spread_bps=costs.spread_bps,
        fee_bps=costs.fee_bps,
        impact_bps=costs.impact_bps,
        delay_bps=costs.delay_bps,
        expected_bps=costs.expected_bps,
        naive_bps=plan.naive.expected_bps,
        reason=plan.reason,
    )


def _at_once(order: Order, ts: int, reason: str) -> Plan:
    """What it costs is not known."""
    limit = order.order_type in {OrderType.LIMIT, OrderType.STOP_LIMIT}
    algorithm = Algorithm.LIMIT if limit else Algorithm.MARKET
    return Plan(algorithm=algorithm, start_ns=ts, end_ns=ts, reason=reason)


def _cheapest(plans: list[Plan], min_saving_bps: float) -> Plan:
    best = plans[0]
    for plan in plans[1:]:
        if plan.costs.expected_bps <= best.costs.expected_bps - min_saving_bps:
            best = plan
    return best


def _plans(now: _Situation, min_qty: Decimal) -> Iterator[tuple[Plan, float]]:
    """Every way at every number of slices that fits, with the largest share of the volume that a slice of it takes. A manner is
    cut into slices where that can save anything: it has an impact at once, or takes more than the standard share.
    """
    asked, settings = now.order.algorithm, now.settings
    most = float(now.order.qty / min_qty) if min_qty > 0 else inf
    cut = {True, False} if asked is not None else set()
    for way in _WAYS:
        if asked not in {None, way.algorithm} or (way.sliced and way.posted not in cut):
            continue
        for slices in _SLICES if way.sliced else (1,):
            if way.sliced and (slices > most or _bars(now, way, slices) > settings.max_bars):
                break
            plan, share = _plan(now, way, slices)
            if not way.sliced and (plan.costs.impact_bps > settings.min_saving_bps or share > settings.participation):
                cut.add(way.posted)
            yield plan, share


def _in_time(plan: Plan, order: Order) -> bool:
    return order.expire_ns is None or plan.end_ns < order.expire_ns


def _bars(now: _Situation, way: _Way, slices: int) -> int:
    """How long it takes."""
    return slices - 1 + (now.settings.patience_bars if way.posted else 0)


def _plan(now: _Situation, way: _Way, slices: int) -> tuple[Plan, float]:
    """A slice a bar; with the largest share of the volume that one takes, 0 where that is not known."""
    view, settings, ts = now.view, now.settings, now.ts
    volumes = [view.volume_at(ts + i * view.bar_ns, ts) for i in range(slices)]
    through = _profile(volumes) if way.by_volume else ()
    qty, parts = float(now.order.qty), _parts(slices, through)
    cut = [_Slice(qty * part, volume) for part, volume in zip(parts, volumes, strict=True)]
    plan = Plan(
        algorithm=way.algorithm,
        start_ns=ts,
        end_ns=ts + _bars(now, way, slices) * view.bar_ns,
        slices=slices,
        interval_ns=view.bar_ns,
        patience_ns=settings.patience_bars * view.bar_ns if way.posted else 0,
        through=through,
        improve=settings.improve,
        min_qty=Decimal(repr(settings.min_child_notional / view.mid)),
        costs=_costs(now, way, cut),
    )
    return plan, max((piece.qty / piece.volume for piece in cut if piece.volume > 0), default=0.0)


def _profile(volumes: list[float]) -> tuple[float, ...]:
    """Share of the volume expected through each slice; () where it is not known: equal parts."""
    total = sum(volumes)
    if total <= 0:
        return ()
    through = [part / total for part in accumulate(volumes)]
    return (*through[:-1], 1.0)


def _parts(slices: int, through: tuple[float, ...]) -> list[float]:
    if not through:
        return [1 / slices] * slices
    return [after - before for before, after in pairwise((0.0, *through))]


def _costs(now: _Situation, way: _Way, cut: list[_Slice]) -> Costs:
    view, settings, fees = now.view, now.settings, now.fees
    sigma_bar = view.sigma_bps(view.bar_ns)
    made, waits_ns = _posting(now) if way.posted else (0.0, 0.0)
    waits_ns += (len(cut) - 1) * view.bar_ns / 3  # variance of a position that is built evenly: Almgren and Chriss
    share = 1 / float(now.order.qty)
    impact = sum(
        piece.qty * share * impact_bps(settings.impact_coefficient, sigma_bar, piece.qty, piece.volume) for piece in cut
    )
    return Costs(
        spread_bps=view.half_spread_bps + made * settings.adverse_selection * sigma_bar,
        fee_bps=made * fees.maker_bps + (1 - made) * fees.taker_bps,
        impact_bps=(1 - made) * impact,
        delay_bps=delay_bps(view.sigma_bps(waits_ns), settings.risk_weight, now.order.urgency) if waits_ns else 0.0,
    )


def _posting(now: _Situation) -> tuple[float, float]:
    """The probability that a posted order fills in its patience, and how many ns it waits on average."""
    view, settings = now.view, now.settings
    patience_ns = settings.patience_bars * view.bar_ns
    distance, sigma = 2 * view.half_spread_bps * (1 - settings.improve), view.sigma_bps(patience_ns)
    return reach_probability(distance, sigma), patience_ns * mean_wait(distance, sigma)
