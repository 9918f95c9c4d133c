"""What the checks remember: orders before, the terms of working ones, halted scopes, volumes, who stands behind positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final, Protocol

import msgspec

from common.messages.market_data import MarketSlice
from common.messages.orders import Order
from common.messages.portfolio import Target
from common.model.money import ZERO
from common.model.time import NS_PER_DAY, NS_PER_SECOND

SEEN_IDS_KEPT: Final = 20_000  # each snapshot holds them
METERS_KEPT: Final = 4_096
VOLUME_DAYS: Final = 20
ORDER: Final = "order"  # names of meters
CANCEL: Final = "cancel"
REPEAT: Final = "repeat"


class Volume(msgspec.Struct, kw_only=True):
    """Traded units by UTC day: `days` are complete ones, oldest first."""

    day: int = 0
    today: float = 0.0
    days: list[float] = msgspec.field(default_factory=list)


class Flow(msgspec.Struct, kw_only=True):
    """Bounded everywhere. `seen` are client order ids approved and `contents` when what was approved last, oldest first;
    `times` the last times of every meter; `spent` (time, notional) of new risk in the last minute; `orders` the terms of
    working orders, while `amending` with the larger of both quantities; `scopes` why "strategy|instrument" is halted;
    `strategies` the book's target by instrument and strategy in signed units, `grown` what of it took new risk when it last
    changed, `types` its shares by strategy type, adding up
    to 1; `others` filled units by instrument and strategy where it was not the book; `jump_ns` is how far a slice was off
    that was out of pace, None after one in pace.
    """

    seen: dict[str, None] = msgspec.field(default_factory=dict)
    contents: dict[str, int] = msgspec.field(default_factory=dict)
    times: dict[str, list[int]] = msgspec.field(default_factory=dict)
    spent: list[tuple[int, Decimal]] = msgspec.field(default_factory=list)
    orders: dict[str, Order] = msgspec.field(default_factory=dict)
    amending: dict[str, Order] = msgspec.field(default_factory=dict)
    scopes: dict[str, str] = msgspec.field(default_factory=dict)
    strategies: dict[str, dict[str, Decimal]] = msgspec.field(default_factory=dict)
    grown: dict[str, dict[str, Decimal]] = msgspec.field(default_factory=dict)
    types: dict[str, dict[str, Decimal]] = msgspec.field(default_factory=dict)
    others: dict[str, dict[str, Decimal]] = msgspec.field(default_factory=dict)
    volumes: dict[str, Volume] = msgspec.field(default_factory=dict)
    quoted_ns: dict[str, int] = msgspec.field(default_factory=dict)
    slice_ns: int = 0
    step: int = 0
    jump_ns: int | None = None

    def copied(self) -> Flow:
        """What changes here leaves the copy alone; market data is shared."""
        return msgspec.structs.replace(
            self,
            seen=dict(self.seen),
            contents=dict(self.contents),
            times={meter: list(times) for meter, times in self.times.items()},
            spent=list(self.spent),
            orders=dict(self.orders),
            amending=dict(self.amending),
            scopes=dict(self.scopes),
        )


# --- meters: the last so many times of something, which is all that a limit on a rate has to know -------


@lru_cache(maxsize=4096)
def meter(*names: str) -> str:
    """Name of a meter: what, then whose."""
    return "|".join(name.replace("|", "/") for name in names)


def count(flow: Flow, name: str, now: int, most: int) -> None:
    """One more; `most` is the limit that asks."""
    times = flow.times.pop(name, [])  # what counts moves to the end, what is idle falls off the front
    times.append(now)
    del times[:-most]
    flow.times[name] = times
    if len(flow.times) > METERS_KEPT:
        del flow.times[next(iter(flow.times))]


def is_full(flow: Flow, name: str, since: int, most: int) -> bool:
    """`most` or more after `since`."""
    times = flow.times.get(name)
    return times is not None and len(times) >= most and times[-most] > since


# --- orders ----------------------------------------------------------------------------------------------


def content(order: Order) -> str:
    """What an order says apart from its id and its moment."""
    prices = f"{order.order_type}|{order.limit_px}|{order.stop_px}|{order.reduce_only}|{order.parent_id}"
    return f"{order.strategy_id}|{order.instrument_id}|{order.side}|{order.qty.normalize()}|{prices}"


def remember_content(flow: Flow, order: Order, now: int, window_s: float) -> None:
    """Keeps what is younger than the window."""
    since = now - int(window_s * NS_PER_SECOND)
    key = content(order)
    flow.contents.pop(key, None)
    flow.contents[key] = now
    while (oldest := next(iter(flow.contents))) != key and flow.contents[oldest] <= since:
        del flow.contents[oldest]


def remember_terms(flow: Flow, order: Order, working: Mapping[str, object]) -> None:
    """Terms of orders that work no more are dropped now and then."""
    flow.orders[order.client_order_id] = order
    if len(flow.orders) > 2 * len(working) + 64:
        flow.orders = {name: terms for name, terms in flow.orders.items() if name in working}
        flow.amending = {name: terms for name, terms in flow.amending.items() if name in working}


# --- scopes ------------------------------------------------------------------------------------------------


def halt_scope(flow: Flow, strategy_id: str, instrument_id: str, reason: str) -> None:
    """An empty id is any."""
    flow.scopes[meter(strategy_id, instrument_id)] = reason


def lift_scope(flow: Flow, strategy_id: str, instrument_id: str) -> None:
    """Every scope that lies within this one; its throttles begin anew."""
    for scope in list(flow.scopes):
        if _within(scope, strategy_id, instrument_id):
            del flow.scopes[scope]
    for name in list(flow.times):
        kind, _, scope = name.partition("|")
        if kind == REPEAT and _within(scope, strategy_id, instrument_id):
            del flow.times[name]


def _within(scope: str, strategy_id: str, instrument_id: str) -> bool:
    strategy, _, instrument = scope.partition("|")
    return meter(strategy_id) in ("", strategy) and meter(instrument_id) in ("", instrument)


# --- strategies behind positions ------------------------------------------------------------------------------


def strategy_type(types: Mapping[str, str], strategy_id: str) -> str:
    """Of the longest prefix that fits; what fits none is a type of its own."""
    prefix = max((prefix for prefix in types if strategy_id.startswith(prefix)), key=len, default=None)
    return strategy_id if prefix is None else types[prefix]


def learn_targets(flow: Flow, targets: Sequence[Target], types: Mapping[str, str]) -> None:
    """Shares are by absolute value: opinions against each other both hold a part of what is left. What a target of nobody
    leaves behind stays with those who had it.
    """
    for target in targets:
        before, behind = flow.strategies.get(target.instrument_id, {}), dict[str, Decimal]()
        for share in target.contributions:
            behind[share.strategy_id] = behind.get(share.strategy_id, ZERO) + share.signed_qty
        flow.strategies[target.instrument_id] = behind
        flow.grown[target.instrument_id] = {
            name: qty for name, qty in behind.items() if _grows(before.get(name, ZERO), qty)
        }
        by_type: dict[str, Decimal] = {}
        for strategy_id, qty in behind.items():
            kind = strategy_type(types, strategy_id)
            by_type[kind] = by_type.get(kind, ZERO) + qty
        if total := sum(map(abs, by_type.values()), ZERO):
            flow.types[target.instrument_id] = {kind: abs(qty) / total for kind, qty in by_type.items() if qty}


def _grows(before: Decimal, after: Decimal) -> bool:
    """Whether a strategy's share takes new risk: it opens, grows or turns round."""
    return after * before < 0 or abs(after) > abs(before)


def learn_fill(flow: Flow, instrument_id: str, strategy_id: str, signed_qty: Decimal, position: Decimal) -> None:
    """`position` is what is held after it. What is held beyond the sum of others is the book's."""
    others = flow.others.setdefault(instrument_id, {})
    others[strategy_id] = others.get(strategy_id, ZERO) + signed_qty
    if not others[strategy_id]:
        del others[strategy_id]
    if not position or not others:
        del flow.others[instrument_id]


# --- market data ---------------------------------------------------------------------------------------------------


def observe(flow: Flow, slice_: MarketSlice, *, jump_ns: int, volumes: bool) -> None:
    """Time that goes back, or ahead by more than `jump_ns` (0: never too far), is a jump until the next slice in pace; so is a
    slice that follows on one which never came. Instruments with two-sided prices are known from here on to have quotes.
    """
    ahead = slice_.ts_event - flow.slice_ns if flow.slice_ns else 1
    missing = flow.step and slice_.step > flow.step + 1
    flow.jump_ns = ahead if missing or ahead <= 0 or (jump_ns and flow.slice_ns and ahead > jump_ns) else None
    flow.slice_ns, flow.step = slice_.ts_event, slice_.step
    for bar in slice_.bars:
        if bar.base:
            if bar.spread_close is not None:
                flow.quoted_ns[bar.instrument_id] = slice_.ts_event
            if volumes and bar.volume > 0:
                _count_volume(flow.volumes.setdefault(bar.instrument_id, Volume()), slice_.ts_event, bar.volume)
    for quote in slice_.quotes:
        flow.quoted_ns[quote.instrument_id] = slice_.ts_event


class Passed(Protocol):
    """Slices taken in at once: see `quiet.Passed`."""

    @property
    def step(self) -> int: ...
    @property
    def ts(self) -> int: ...
    @property
    def pace_ns(self) -> int: ...
    @property
    def quoted_ns(self) -> Mapping[str, int]: ...
    @property
    def volumes(self) -> Mapping[str, Sequence[float]]: ...


def catch_up(flow: Flow, passed: Passed, *, jump_ns: int, volumes: bool) -> None:
    """As `observe` slice by slice, of slices without a hole in their numbers, within one UTC day and without quotes."""
    flow.jump_ns = passed.pace_ns if passed.pace_ns <= 0 or (jump_ns and passed.pace_ns > jump_ns) else None
    flow.slice_ns, flow.step = passed.ts, passed.step
    flow.quoted_ns.update(passed.quoted_ns)
    for instrument_id, units in passed.volumes.items() if volumes else ():
        for one in units:
            if one > 0:
                _count_volume(flow.volumes.setdefault(instrument_id, Volume()), passed.ts, one)


def daily_volume(flow: Flow, instrument_id: str) -> float | None:
    """Mean of the complete days known, of at most `VOLUME_DAYS`; None before the first."""
    volume = flow.volumes.get(instrument_id)
    return sum(volume.days) / len(volume.days) if volume and volume.days else None


def _count_volume(volume: Volume, ts: int, units: float) -> None:
    day = (ts - 1) // NS_PER_DAY  # a bar that closes at midnight belongs to the day that ends
    if day != volume.day:
        if volume.today > 0:
            volume.days.append(volume.today)
            del volume.days[:-VOLUME_DAYS]
        volume.day, volume.today = day, 0.0
    volume.today += units
