"""The verdict on every proposed order: all checks in their order, then approved, cut or denied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from common.messages.base import Message
from common.messages.market_data import MarketSlice
from common.messages.orders import (
    AmendApproved,
    AmendOrder,
    Order,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderFilled,
    ProposeOrders,
)
from common.messages.portfolio import Target
from common.messages.risk import HaltScope, ScopeHalted
from common.model.enums import DenyCode, TradingState
from common.model.money import ZERO, Conversion
from common.model.parties import BOOK, GUARDIAN
from common.model.time import NS_PER_HOUR, NS_PER_MINUTE
from risk_guardian import amend, flow
from risk_guardian.checks import OF_EVERY_ORDER, OF_NEW_RISK, Breach, Check, Context, Cut, RiskAfter, held
from risk_guardian.checks.base import ALL_HOURS
from risk_guardian.events import OFF, EventSettings
from risk_guardian.flow import CANCEL, ORDER, REPEAT, meter
from risk_guardian.limits import Limits
from risk_guardian.state import State, Working
from risk_guardian.windows import WindowSettings

NAME: Final = GUARDIAN


class Now(NamedTuple):
    """Circumstances of a decision made at `ts`. `exposure_factor` is what the ladders leave of limits; `after` measures the book
    after an order and must see those approved before in the same step.
    """

    ts: int
    step: int
    exposure_factor: float
    conversion: Conversion
    after: RiskAfter | None = None


class Judge:
    """Asks the checks about each order and remembers what passed, in the state it is given."""

    def __init__(
        self, limits: Limits, account: str, *, windows: WindowSettings = ALL_HOURS, events: EventSettings = OFF
    ) -> None:
        self._limits = limits
        self._uncut = msgspec.structs.replace(limits, resize=False)
        self._account = account
        self._windows = windows
        self._events = events

    # --- orders ----------------------------------------------------------------------------------------

    def all(
        self,
        orders: Sequence[Order],
        state: State,
        *,
        ts: int,
        step: int,
        exposure_factor: float,
        conversion: Conversion,
        after: RiskAfter | None = None,
        targets: Sequence[Target] = (),
    ) -> list[Message]:
        """One OrderApproved or OrderDenied for each of `orders`, in their order; behind a denial that trips the throttle also its
        ScopeHalted. `targets` say which strategies the book's orders come from.
        """
        flow.learn_targets(state.flow, targets, self._limits.strategy_types)
        now = Now(ts, step, exposure_factor, conversion, after)
        return [said for order in orders for said in self._judge(order, state, now)]

    def judge_proposed(self, message: ProposeOrders, state: State, now: Now) -> list[Message]:
        """As `all`, but all or none pass: a breach of one denies every other with the same numbers."""
        before, working = state.flow.copied(), dict(state.working)
        said = [verdict for order in message.orders for verdict in self._judge(order, state, now)]
        denial = next((verdict for verdict in said if isinstance(verdict, OrderDenied)), None)
        if denial is None:
            return said
        before.scopes = state.flow.scopes  # a throttle that tripped stays tripped
        state.flow, state.working = before, working
        breach = Breach(denial.code, denial.observed, denial.limit)
        denied = [_denied(order, now.ts, breach) for order in message.orders]
        return [*denied, *(other for other in said if isinstance(other, ScopeHalted))]

    def judge_amend(self, message: AmendOrder, state: State, now: Now) -> AmendApproved | OrderDenied:
        """Nothing is cut here: what does not fit is denied, and the order works on as it is."""
        name = message.client_order_id
        working, current = state.working.get(name), state.flow.orders.get(name)
        if working is None or current is None or working.own:
            unknown = amend.nameless(message, self._account)
            return _denied(unknown, now.ts, Breach(DenyCode.UNKNOWN_ORDER, ZERO, ZERO))
        new = amend.wanted(message, current)
        filled = current.qty - abs(working.signed_leaves_qty)
        if name in state.flow.amending:
            return _denied(new, now.ts, Breach(DenyCode.UNSUPPORTED, ZERO, ZERO))  # one at a time
        if not new.qty.is_finite() or new.qty <= filled:
            return _denied(new, now.ts, Breach(DenyCode.QTY_INVALID, new.qty, filled))
        del state.working[name]  # it is judged as if it came anew, with what is left of it
        left = msgspec.structs.replace(new, qty=new.qty - filled)
        breach = _ask(self._context(left, state, now, self._uncut), *amend.checks_of(current, new), rules=[])
        state.working[name] = working
        if breach is not None:
            return _denied(new, now.ts, breach)
        amend.approve(state, current, new, filled)
        self._count(new, state)
        return AmendApproved(ts_event=now.ts, order=new, step=now.step)

    def remember(self, order: Order, state: State) -> None:
        """An order that is out: its id is used, it works, it counts."""
        name, own = order.client_order_id, order.strategy_id == NAME
        state.flow.seen[name] = None
        if len(state.flow.seen) > flow.SEEN_IDS_KEPT:
            del state.flow.seen[next(iter(state.flow.seen))]
        state.working[name] = Working(instrument_id=order.instrument_id, signed_leaves_qty=order.signed_qty, own=own)
        flow.remember_terms(state.flow, order, state.working)
        self._count(order, state)

    # --- what else is heard ----------------------------------------------------------------------------

    def observe(self, slice_: MarketSlice, state: State) -> None:
        """Of every slice, before anything of its step is judged: quotes, volumes, and whether time is in pace."""
        jump_ns = int(self._limits.max_clock_jump_hours * NS_PER_HOUR)
        flow.observe(state.flow, slice_, jump_ns=jump_ns, volumes=bool(self._limits.max_volume_share))

    def on_fill(self, message: OrderFilled, state: State) -> None:
        """After the fill is in the ledger: whose position it is."""
        if message.strategy_id in (BOOK, NAME) and message.instrument_id not in state.flow.others:
            return
        position = state.ledger.qty(message.instrument_id)
        flow.learn_fill(state.flow, message.instrument_id, message.strategy_id, message.signed_qty, position)

    def on_cancel(self, message: OrderCanceled, state: State) -> None:
        limits = self._limits
        flow.count(state.flow, meter(CANCEL), state.ts, limits.cancels_per_minute)
        mine = meter(CANCEL, message.strategy_id)
        flow.count(state.flow, mine, state.ts, limits.strategy_cancels_per_minute)

    def on_amended(self, order: Order, state: State) -> None:
        """`order` of OrderAmended or AmendRejected."""
        amend.settle(state, order)

    def on_halt_scope(self, message: HaltScope, state: State, ts: int) -> ScopeHalted:
        return self.halt_scope(
            state,
            message.strategy_id,
            message.instrument_id,
            ts=ts,
            halted=message.halted,
            reason=message.reason,
            author=message.author,
        )

    def halt_scope(
        self,
        state: State,
        strategy_id: str,
        instrument_id: str,
        *,
        ts: int,
        reason: str,
        author: str = NAME,
        halted: bool = True,
    ) -> ScopeHalted:
        """No new risk from here on, or again; an empty id is any, and lifting it lifts all within."""
        if halted:
            flow.halt_scope(state.flow, strategy_id, instrument_id, reason)
        else:
            flow.lift_scope(state.flow, strategy_id, instrument_id)
        return ScopeHalted(
            ts_event=ts,
            book=state.book,
            strategy_id=strategy_id,
            instrument_id=instrument_id,
            halted=halted,
            reason=reason,
            author=author,
        )

    # --- one order -------------------------------------------------------------------------------------

    def _judge(self, order: Order, state: State, now: Now) -> Iterator[Message]:
        rules: list[str] = []
        c = self._context(order, state, now, self._limits)
        breach = _ask(c, OF_EVERY_ORDER, OF_NEW_RISK, rules)
        if breach is not None:
            yield _denied(order, now.ts, breach)
            if breach.code is DenyCode.REPEATED_EXECUTION:
                yield self._trip(order, state, now.ts)
            return
        if not c.shrinks:
            self._count_new_risk(c)
        if state.trading is TradingState.REDUCING and not c.order.reduce_only:
            rules.append("REDUCING: reduce-only")  # it may rest while the position shrinks under it
            c.order = msgspec.structs.replace(c.order, reduce_only=True)
        self.remember(c.order, state)
        yield OrderApproved(
            ts_event=now.ts,
            order=c.order,
            step=now.step,
            resized_from=order.qty if c.order.qty != order.qty else None,
            rule="; ".join(rules),
        )

    def _context(self, order: Order, state: State, now: Now, limits: Limits) -> Context:
        return Context(
            order=order,
            state=state,
            limits=limits,
            account=self._account,
            ts=now.ts,
            held=held(state, order.instrument_id, order.side.sign),
            exposure_factor=now.exposure_factor,
            conversion=now.conversion,
            after=now.after,
            windows=self._windows,
            events=self._events,
        )

    def _count(self, order: Order, state: State) -> None:
        limits = self._limits
        flow.count(state.flow, meter(ORDER), state.ts, limits.orders_per_minute)
        mine = meter(ORDER, order.strategy_id)
        flow.count(state.flow, mine, state.ts, limits.strategy_orders_per_minute)
        if limits.duplicate_window_s:
            flow.remember_content(state.flow, order, state.ts, limits.duplicate_window_s)

    def _count_new_risk(self, c: Context) -> None:
        state, order = c.state, c.order
        name = meter(REPEAT, order.strategy_id, order.instrument_id)
        flow.count(state.flow, name, state.ts, self._limits.max_repeats)
        since = state.ts - NS_PER_MINUTE
        state.flow.spent = [spent for spent in state.flow.spent if spent[0] > since]
        state.flow.spent.append((state.ts, order.qty * c.unit))

    def _trip(self, order: Order, state: State, ts: int) -> ScopeHalted:
        limits = self._limits
        reason = f"{limits.max_repeats} orders within {limits.repeat_window_minutes:g} minutes"
        return self.halt_scope(state, order.strategy_id, order.instrument_id, ts=ts, reason=reason)


def _ask(c: Context, of_every: Sequence[Check], of_new_risk: Sequence[Check], rules: list[str]) -> Breach | None:
    """The first breach that no cut mends; cuts are made to the order of `c`, and said in `rules`."""
    return _first_breach(c, of_every, rules) or (None if c.shrinks else _first_breach(c, of_new_risk, rules))


def _first_breach(c: Context, checks: Sequence[Check], rules: list[str]) -> Breach | None:
    for check in checks:
        finding = check(c)
        if finding is None:
            continue
        if not isinstance(finding, Cut):
            return finding
        if finding.qty <= 0:
            return finding.breach
        code, observed, limit = finding.breach
        rules.append(f"{code}: {observed:f} over {limit:f}")
        c.order = msgspec.structs.replace(c.order, qty=finding.qty)
    return None


def _denied(order: Order, ts: int, breach: Breach) -> OrderDenied:
    return OrderDenied(
        ts_event=ts, order=order, code=breach.code, observed=breach.observed, limit=breach.limit, by=NAME
    )
