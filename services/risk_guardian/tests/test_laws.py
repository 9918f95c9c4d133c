"""Over arbitrary sequences of messages: nothing past a limit, nothing after a halt, and a snapshot changes nothing.

The limits are recomputed here from the messages alone, in a book of this file's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from msgspec.structs import replace

from common.messages import (
    AmendApproved,
    AmendOrder,
    AmendRejected,
    ExecutionStep,
    HaltScope,
    HaltTrading,
    InstrumentsDefined,
    LadderChanged,
    MarketSlice,
    Message,
    OrderAmended,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderFilled,
    PortfolioStep,
    ProposeOrders,
    ResumeTrading,
    RiskStep,
    ScopeHalted,
    TradingStateChanged,
)
from common.messages.market_data import Bar
from common.messages.orders import Order
from common.model.account import Account
from common.model.enums import OrderType, Side, TradingState
from common.model.instrument import Instrument
from common.model.time import Timeframe
from common.runtime import snapshots
from common.testing.builders import EUR_USD, T0, a
from risk_guardian.core import RiskGuardian
from risk_guardian.limits import Limits
from risk_guardian.policy import METRICS, Ladders, Level
from risk_guardian.settings import Settings
from risk_guardian.verdict import NAME

YEN, HOUR, MINUTE, SECOND, DAY = "USD-JPY.ECB", Timeframe.H1.ns, 60 * 10**9, 10**9, 24 * Timeframe.H1.ns
WIDE = {
    "max_order_notional": 9.0,
    "max_position": 9.0,
    "max_gross_exposure": 9.0,
    "max_net_exposure": 9.0,
    "max_leverage": 9.0,
    "max_correlated": 0.0,
    "stale_after_bars": 2.0,
    "duplicate_window_s": 0.0,
}
TIGHT: tuple[dict[str, Any], ...] = (  # each play has a few limits that bind: together they would hide one another
    {},
    {"max_order_qty": 30_000.0},
    {"max_order_notional": 0.4},
    {"max_position": 0.6},
    {"max_gross_exposure": 0.7},
    {"max_net_exposure": 0.5},
    {"max_leverage": 0.7},
    {"max_currency": 0.55},
    {"max_deployed": 0.7},
    {"max_daily_loss": 0.005},
    {"max_drawdown": 0.005},
    {"orders_per_minute": 3},
    {"max_open_orders": 2},
    {"strategy_orders_per_minute": 1},
    {"notional_per_minute": 0.6},
    {"max_repeats": 2, "repeat_window_minutes": 180.0},
    {"duplicate_window_s": 1.0},
)
FACTORS = {0: Decimal(1), 1: Decimal("0.75"), 2: Decimal("0.5"), 3: Decimal("0.25")}
LADDER = (  # the fx ladder, but in reach of a few hours
    Level(trigger=0.01, release=0.005, exposure_factor=0.75),
    Level(trigger=0.02, release=0.01, exposure_factor=0.5, state=TradingState.REDUCING, lift_after_days=1),
    Level(trigger=0.06, release=0.04, exposure_factor=0.25, state=TradingState.HALTED, manual=True),
)
LADDERS = Ladders(**{**dict.fromkeys(METRICS, ()), "drawdown": LADDER})
DEFINED = a(
    InstrumentsDefined,
    instruments=(a(Instrument), a(Instrument, instrument_id=YEN, base="USD", quote="JPY")),
    base_timeframes=(Timeframe.H1, Timeframe.H1),
)


@dataclass
class Book:
    """What a bystander knows: everything in dollars, one yen pair."""

    now: int = T0
    cash: dict[str, Decimal] = field(default_factory=lambda: {"USD": Decimal(100_000), "JPY": Decimal(0)})
    held: dict[str, Decimal] = field(default_factory=lambda: {EUR_USD: Decimal(0), YEN: Decimal(0)})
    px: dict[str, Decimal] = field(default_factory=dict)
    px_ns: dict[str, int] = field(default_factory=dict)
    working: dict[str, Order] = field(default_factory=dict)
    left: dict[str, Decimal] = field(default_factory=dict)
    paid: dict[str, Decimal] = field(default_factory=lambda: {EUR_USD: Decimal(0), YEN: Decimal(0)})
    approved: list[tuple[int, Order, bool]] = field(default_factory=list)  # when, what, whether of new risk
    repeats: list[tuple[int, str, str]] = field(default_factory=list)  # when, strategy, instrument
    scopes: list[tuple[str, str]] = field(default_factory=list)
    equity: Decimal = Decimal(100_000)
    peak: Decimal = Decimal(100_000)
    opening: tuple[int, Decimal] = (-1, Decimal(0))
    factor: Decimal = Decimal(1)
    trading: TradingState = TradingState.ACTIVE

    def unit(self, name: str) -> Decimal:
        """A euro is worth its price, a dollar (the base of the yen pair) a dollar."""
        return self.px[name] if name == EUR_USD else self.px[name] * (1 / self.px[name])

    def value(self) -> Decimal:
        euros = self.held[EUR_USD] * self.px[EUR_USD] if self.held[EUR_USD] else Decimal(0)
        yen = self.cash["JPY"] / self.px[YEN] if self.cash["JPY"] else Decimal(0)
        return self.cash["USD"] + euros + yen + self.held[YEN]

    def extremes(self, name: str, leave_out: str = "") -> tuple[Decimal, Decimal]:
        """The lowest and the highest position that working orders can make."""
        low = high = self.held[name]
        for order_id, order in self.working.items():
            if order.instrument_id == name and order_id != leave_out:
                signed = self.left[order_id] * order.side.sign
                low, high = low + min(signed, 0), high + max(signed, 0)
        return low, high

    def fill(self, name: str, signed: Decimal, px: Decimal) -> None:
        """`paid` is the average entry price."""
        held, after = self.held[name], self.held[name] + signed
        if held * signed >= 0:
            self.paid[name] = (abs(held) * self.paid[name] + abs(signed) * px) / abs(after)
        elif held * after < 0:
            self.paid[name] = px
        self.held[name] = after
        self.cash["USD" if name == EUR_USD else "JPY"] -= signed * px

    def recent(self, window: int, *, new_risk: bool = False) -> list[Order]:
        return [order for ts, order, new in self.approved if ts > self.now - window and (new or not new_risk)]

    def cost(self, name: str, extreme: Decimal | None = None) -> Decimal:
        """At the entry price what is held, at the last one what works on top of it."""
        held, worst = abs(self.held[name]), max(map(abs, self.extremes(name) if extreme is None else [extreme]))
        return (
            (held * self.paid[name] / self.px[name] + max(worst - held, Decimal(0))) * self.unit(name)
            if worst
            else worst
        )

    def shrinks(self, order: Order) -> bool:
        low, high = self.extremes(order.instrument_id, leave_out=order.client_order_id)
        closable = low if order.side is Side.SELL else -high
        return closable >= order.qty


proposals = st.lists(
    st.tuples(
        st.integers(0, 19) | st.none(),
        st.sampled_from([EUR_USD] * 5 + [YEN] * 2 + ["XXX-USD.ECB"]),
        st.sampled_from(Side),
        st.sampled_from([20_000, 45_000]) | st.integers(1, 90_000),
        st.sampled_from([Decimal(1), Decimal(1), Decimal("1.015"), Decimal("1.03")]),
        st.booleans(),
        st.sampled_from(["book", "book", "hand"]),
        st.sampled_from([None, None, Decimal("0.995"), Decimal("1.005")]),
    ),
    min_size=1,
    max_size=6,
)
words = st.one_of(
    st.tuples(st.just("hour"), st.integers(90, 115), st.integers(95, 115)),
    st.tuples(st.just("hour"), st.integers(90, 115), st.integers(95, 115)),
    st.tuples(st.just("hours without a price"), st.integers(1, 3)),
    st.tuples(st.just("propose"), proposals),
    st.tuples(st.just("by hand"), proposals),
    st.tuples(st.just("fill"), st.integers(0, 2), st.sampled_from([Decimal(1), Decimal("0.4")])),
    st.tuples(st.just("cancel"), st.integers(0, 5)),
    st.tuples(st.just("amend"), st.integers(0, 2), st.sampled_from([Decimal(2), Decimal("0.5")]), st.booleans()),
    st.tuples(st.just("scope"), st.sampled_from(["", "hand"]), st.sampled_from(["", EUR_USD]), st.booleans()),
    st.tuples(st.just("halt"), st.booleans()),
    st.just(("resume",)),
)


def alike(one: Order, other: Order) -> bool:
    return replace(one, client_order_id="", ref_px=Decimal(0)) == replace(other, client_order_id="", ref_px=Decimal(0))


class Play:
    """Turns words into messages that fit what the guardian said so far, and judges what it says with `Book`."""

    def __init__(self, tight: dict[str, Any]) -> None:
        self.limits = Limits(**{**WIDE, **tight})
        self.guardian, self.book, self.step = self.new(), Book(), 0
        self.names = 0
        self.tape: list[Message] = []
        self.said: list[Message] = []
        self.answers: list[tuple[Message, Message]] = []
        self.tell(DEFINED)
        self.hour(110, 110)

    def new(self) -> RiskGuardian:
        return RiskGuardian(Settings(limits=self.limits, ladders=LADDERS), Account())

    def limit(self, name: str, of: Decimal) -> Decimal:
        """A fraction `of` something, with room for the arithmetic of 28 digits; 0 is no limit."""
        return of * Decimal(repr(getattr(self.limits, name) or 1e9)) * Decimal("1.0000001")

    def tell(self, message: Message) -> None:
        self.tape.append(message)
        for output in self.guardian.handle(message):
            assert isinstance(output, Message)
            self.said.append(output)
            self.answers.append((message, output))
            self.witness(output)

    def play(self, word: str, *arguments: Any) -> None:
        match word, arguments:
            case "hour", [eur, yen]:
                self.hour(eur, yen)
            case "hours without a price", [hours]:
                self.hour(None, None, hours)
            case "propose", [wanted]:
                self.tell(a(PortfolioStep, ts_event=self.book.now, step=self.step, orders=self.orders(wanted)))
            case "by hand", [wanted]:
                self.by_hand(self.orders(wanted))
            case "fill" | "cancel", [index, *share]:
                if index < len(self.book.working):
                    self.end(list(self.book.working)[index], *share)
            case "amend", [index, factor, taken]:
                if index < len(self.book.working):
                    self.amend(list(self.book.working)[index], factor, taken)
            case "scope", [strategy, instrument, halted]:
                self.tell(a(HaltScope, strategy_id=strategy, instrument_id=instrument, halted=halted))
            case "halt", [flatten]:
                self.tell(a(HaltTrading, flatten=flatten))
            case _:
                self.book.peak, self.book.opening = self.book.equity, ((self.book.now - 1) // DAY, self.book.equity)
                self.tell(a(ResumeTrading))

    def hour(self, eur: int | None, yen: int | None, hours: int = 1) -> None:
        book, self.step = self.book, self.step + 1
        book.now += hours * HOUR
        prices = {EUR_USD: eur, YEN: yen}
        quoted = {name: Decimal(px) / (100 if name == EUR_USD else 1) for name, px in prices.items() if px}
        book.px.update(quoted)
        book.px_ns.update(dict.fromkeys(quoted, book.now))
        bars = tuple(a(Bar, instrument_id=name, close=float(px)) for name, px in quoted.items())
        self.tell(MarketSlice(ts_event=book.now, book="fx", step=self.step, bars=bars))
        before, book.equity = book.equity, book.value()
        book.peak = max(book.peak, book.equity)
        day = (book.now - 1) // DAY  # midnight belongs to the day that ends
        if book.opening[0] != day:
            book.opening = day, before
        self.tell(ExecutionStep(ts_event=book.now, book="fx", step=self.step, cash={}))

    def by_hand(self, orders: tuple[Order, ...]) -> None:
        """All or none."""
        heard = len(self.said)
        self.tell(a(ProposeOrders, orders=orders))
        verdicts = [each for each in self.said[heard:] if isinstance(each, OrderApproved | OrderDenied)]
        assert [each.order.client_order_id for each in verdicts] == [order.client_order_id for order in orders]
        assert len({type(each) for each in verdicts}) == 1

    def orders(self, wanted: list[Any]) -> tuple[Order, ...]:
        return tuple(
            a(
                Order,
                client_order_id=self.fresh() if number is None else f"o-{number}",
                strategy_id=strategy,
                instrument_id=name,
                side=side,
                qty=Decimal(qty),
                ref_px=(self.book.px.get(name, Decimal(1)) * off).quantize(Decimal("0.00001")),
                order_type=OrderType.LIMIT if limit else OrderType.MARKET,
                limit_px=self.book.px.get(name, Decimal(1)) * limit if limit else None,
                stop_px=None,
                reduce_only=reduce_only,
                parent_id="",
                oco_group="",
            )
            for number, name, side, qty, off, reduce_only, strategy, limit in wanted
        )

    def fresh(self) -> str:
        self.names += 1
        return f"o-fresh-{self.names}"

    def amend(self, order_id: str, factor: Decimal, taken: bool) -> None:
        """The larger of both quantities works until the venue has answered; between request and answer the book is checked."""
        book, before, left = self.book, self.book.working[order_id], self.book.left[order_id]
        filled, qty = before.qty - left, (before.qty * factor).quantize(Decimal(1))
        del book.working[order_id], book.left[order_id]
        self.asked = replace(before, qty=max(qty - filled, Decimal(1))), qty > before.qty
        self.tell(a(AmendOrder, client_order_id=order_id, qty=qty, limit_px=None, stop_px=None))
        book.working[order_id], book.left[order_id] = before, left
        said = self.said[-1]
        if isinstance(said, AmendApproved):
            settled = said.order if taken else before
            book.working[order_id], book.left[order_id] = settled, settled.qty - filled
            self.tell(a(OrderAmended if taken else AmendRejected, order=settled))

    def end(self, order_id: str, share: Decimal | None = None) -> None:
        book, order = self.book, self.book.working[order_id]
        if share is None:
            del book.working[order_id]
            self.tell(a(OrderCanceled, client_order_id=order_id, instrument_id=order.instrument_id))
            return
        qty = max((book.left[order_id] * share).quantize(Decimal(1)), Decimal(1))
        book.left[order_id] -= qty
        if not book.left[order_id]:
            del book.working[order_id]
        px = book.px[order.instrument_id]
        book.fill(order.instrument_id, qty * order.side.sign, px)
        fill = a(
            OrderFilled,
            client_order_id=order_id,
            instrument_id=order.instrument_id,
            strategy_id=order.strategy_id,
            side=order.side,
            last_qty=qty,
            last_px=px,
            leaves_qty=book.left[order_id],
            commission=Decimal(0),
        )
        self.tell(fill)

    def witness(self, message: Message) -> None:
        book = self.book
        match message:
            case TradingStateChanged():
                book.trading = message.state
            case LadderChanged():
                book.factor = FACTORS[message.level]
            case ScopeHalted():
                self.scope(message)
            case AmendApproved():
                left, grows = self.asked
                assert book.trading is not TradingState.HALTED
                if grows:
                    self.check(left, amends=True)
                book.approved.append((book.now, message.order, False))
            case OrderApproved():
                assert message.order.client_order_id not in book.left, "an id is approved once"
                new_risk = self.check(message.order)
                if new_risk and message.resized_from is None and self.limits.duplicate_window_s:
                    assert not [each for each in book.recent(SECOND) if alike(each, message.order)]
                book.approved.append((book.now, message.order, new_risk))
                book.working[message.order.client_order_id] = message.order
                book.left[message.order.client_order_id] = message.order.qty

    def scope(self, message: ScopeHalted) -> None:
        book, strategy, name = self.book, message.strategy_id, message.instrument_id
        if message.halted:
            book.scopes.append((strategy, name))
            return
        book.scopes = [(s, n) for s, n in book.scopes if strategy not in ("", s) or name not in ("", n)]
        book.repeats = [(ts, s, n) for ts, s, n in book.repeats if strategy not in ("", s) or name not in ("", n)]

    def check(self, order: Order, amends: bool = False) -> bool:
        """Whether it takes new risk; it may not break anything."""
        book, name = self.book, order.instrument_id
        if order.strategy_id == NAME:
            assert order.reduce_only
            assert book.held[name] * order.side.sign < 0
            own = [
                book.left[each]
                for each, other in book.working.items()
                if other.strategy_id == NAME and other.instrument_id == name and other.side is order.side
            ]
            assert order.qty + sum(own) <= abs(book.held[name])
            return False
        assert book.trading is not TradingState.HALTED
        self.check_crossing(order)
        if book.shrinks(order):
            assert order.reduce_only or book.trading is TradingState.ACTIVE or amends  # execution refuses those
            return False
        assert book.trading is TradingState.ACTIVE
        assert not [scope for scope in book.scopes if scope[0] in ("", order.strategy_id) and scope[1] in ("", name)]
        assert book.now - book.px_ns[name] <= 2 * HOUR
        assert abs(order.ref_px / book.px[name] - 1) <= Decimal("0.02001")
        assert book.opening[1] - book.equity <= self.limit("max_daily_loss", book.opening[1])
        assert book.peak - book.equity <= self.limit("max_drawdown", book.peak)
        self.check_rates(order)
        self.check_size(order)
        if not amends:
            book.repeats.append((book.now, order.strategy_id, name))
        return not amends

    def check_crossing(self, order: Order) -> None:
        """None works on the other side whose limit this one would take: a market order takes half a spread."""
        sign = order.side.sign
        reach = order.limit_px or self.book.px[order.instrument_id] + sign * Decimal("0.00005")
        for other in self.book.working.values():
            if other.instrument_id == order.instrument_id and other.side is not order.side and other.limit_px:
                assert (other.limit_px - reach) * sign > 0

    def check_rates(self, order: Order) -> None:
        book, limits, name, mine = self.book, self.limits, order.instrument_id, order.strategy_id
        assert len(book.working) < limits.max_open_orders
        assert len(book.recent(MINUTE)) < limits.orders_per_minute
        assert sum(each.strategy_id == mine for each in book.recent(MINUTE)) < limits.strategy_orders_per_minute
        since = book.now - int(limits.repeat_window_minutes) * MINUTE
        assert sum(each[0] > since and each[1:] == (mine, name) for each in book.repeats) < limits.max_repeats
        spent = sum(each.qty * book.unit(each.instrument_id) for each in book.recent(MINUTE, new_risk=True))
        assert spent + order.qty * book.unit(name) <= self.limit("notional_per_minute", book.equity)

    def check_size(self, order: Order) -> None:
        book, name, sign = self.book, order.instrument_id, order.side.sign
        whole, equity, unit = book.equity, book.equity * book.factor, book.unit(name)
        low, high = book.extremes(name)
        side = high if sign > 0 else low
        toward = (side * sign + order.qty) * unit
        after = abs(toward)
        (other,) = (each for each in book.held if each != name)
        beside = [each * book.unit(other) if each else each for each in book.extremes(other)]
        others, net = max(map(abs, beside)), max(sign * each for each in beside)
        assert order.qty <= self.limits.max_order_qty
        assert order.qty * unit <= self.limit("max_order_notional", equity)
        assert after <= self.limit("max_position", equity)
        assert toward <= self.limit("max_currency", equity)
        assert others + after <= self.limit("max_gross_exposure", equity)
        assert others + after <= self.limit("max_leverage", whole)
        assert net + toward <= self.limit("max_net_exposure", equity)
        closes = min(abs(side), order.qty) if side * sign < 0 else Decimal(0)
        own = book.cost(name, side) if not closes else Decimal(0)
        assert book.cost(other) + own + (order.qty - closes) * unit <= self.limit("max_deployed", whole)


def wanted_by(chance: Random) -> list[Any]:
    return [
        (
            chance.choice([None] * 6 + [chance.randrange(20)]),
            chance.choice([EUR_USD] * 6 + [YEN] * 3 + ["XXX-USD.ECB"] * (chance.random() < 0.1)),
            chance.choice(list(Side)),
            chance.choice([20_000, 45_000, chance.randint(1, 90_000)]),
            chance.choice([Decimal(1)] * 8 + [Decimal("1.015"), Decimal("1.03")]),
            chance.random() < 0.2,
            chance.choice(["book", "book", "hand"]),
            chance.choice([None, None, Decimal("0.995"), Decimal("1.005")]),
        )
        for _ in range(chance.randint(1, 4))
    ]


def hour_of(chance: Random) -> tuple[Any, ...]:
    """Mostly calm: a crash that halts everything is soon said."""
    low, high = chance.choice([(108, 112)] * 6 + [(104, 113), (95, 115)])
    return "hour", chance.randint(low, high), chance.randint(low, high)


LONG: tuple[tuple[float, Any], ...] = (
    (6, hour_of),
    (0.5, lambda chance: ("hours without a price", chance.randint(1, 3))),
    (7, lambda chance: ("propose", wanted_by(chance))),
    (2, lambda chance: ("by hand", wanted_by(chance))),
    (6, lambda chance: ("fill", chance.randrange(3), chance.choice([Decimal(1), Decimal("0.4")]))),
    (2, lambda chance: ("cancel", chance.randrange(5))),
    (
        2,
        lambda chance: (
            "amend",
            chance.randrange(3),
            chance.choice([Decimal(2), Decimal("0.5")]),
            chance.random() < 0.5,
        ),
    ),
    (0.4, lambda chance: ("scope", chance.choice(["", "hand"]), chance.choice(["", EUR_USD]), chance.random() < 0.3)),
    (0.2, lambda chance: ("halt", chance.random() < 0.5)),
    (1.0, lambda chance: ("resume",)),
)


def long_play(seed: int) -> tuple[dict[str, Any], list[Any]]:
    """Sixty words in proportions in which much is approved: lists that are drawn word by word are short and mostly denied."""
    chance = Random(seed)
    made = chance.choices([make for _, make in LONG], [weight for weight, _ in LONG], k=60)
    return chance.choice(TIGHT), [make(chance) for make in made]


opened = [("propose", [(99, EUR_USD, Side.BUY, 45_000, Decimal(1), False, "book", None)]), ("fill", 0, Decimal(1))]
losses = st.integers(100, 108).map(lambda eur: [*opened, ("hour", eur, 110)])
scripts = st.builds(lambda before, after: before + after, losses | st.just([]), st.lists(words, max_size=30))
plays = st.tuples(st.sampled_from(TIGHT), scripts)


def played(written: tuple[dict[str, Any], Sequence[Any]]) -> Play:
    tight, script = written
    play = Play(tight)
    for word in script:
        play.play(*word)
    return play


@pytest.mark.req("RSK-01", "RSK-02", "RSK-09")
@examples(max_examples=500, deadline=None)
@given(plays)
def test_nothing_past_a_limit_and_nothing_after_a_halt_is_ever_approved(script: Any) -> None:
    played(script)


@pytest.mark.req("RSK-01", "RSK-02", "RSK-09")
@examples(max_examples=400, deadline=None)
@given(st.integers(0, 2**32))
def test_nothing_past_a_limit_is_ever_approved_in_a_long_life(seed: int) -> None:
    played(long_play(seed))


@pytest.mark.req("RSK-02")
@given(plays)
def test_every_proposed_order_gets_one_verdict_and_every_step_is_closed(script: Any) -> None:
    play = played(script)
    asked = [order for message in play.tape if isinstance(message, PortfolioStep) for order in message.orders]
    verdicts = [
        message.order
        for cause, message in play.answers
        if isinstance(cause, PortfolioStep) and isinstance(message, OrderApproved | OrderDenied)
    ]
    assert [order.client_order_id for order in verdicts] == [order.client_order_id for order in asked]
    closed = [message for message in play.said if isinstance(message, RiskStep)]
    assert len(closed) == sum(isinstance(message, PortfolioStep) for message in play.tape)
    assert sum(step.approved + step.denied for step in closed) == len(asked)


@pytest.mark.req("RSK-08")
@given(plays)
def test_the_trading_state_is_what_was_last_said_and_the_peak_only_falls_by_a_resume(script: Any) -> None:
    play, peak, resumed = Play(script[0]), Decimal(0), False
    for word in script[1]:
        resumed = resumed or word[0] == "resume"
        play.play(*word)
        assert play.guardian.state.trading is play.book.trading
        assert play.guardian.state.equity == pytest.approx(play.book.equity)
        if not resumed:
            assert play.guardian.state.peak_equity >= peak
            peak = play.guardian.state.peak_equity


@pytest.mark.req("RSK-01", "RSK-09")
@given(plays, st.data())
def test_a_snapshot_at_any_point_changes_nothing(script: Any, data: Any) -> None:
    play = played(script)
    cut = data.draw(st.integers(0, len(play.tape)))
    first, second = play.new(), play.new()
    said = [output for message in play.tape[:cut] for output in first.handle(message)]
    snapshots.restore(second, snapshots.encode(first, 1, "mark"), "mark")
    said += [output for message in play.tape[cut:] for output in second.handle(message)]
    assert said == play.said
    assert snapshots.encode(second, 1, "mark") == snapshots.encode(play.guardian, 1, "mark")
