"""Over arbitrary sequences of messages: nothing past a limit, nothing after a halt, and a snapshot changes nothing.

The limits are recomputed here from the messages alone, in a book of this file's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from common.messages import (
    ExecutionStep,
    HaltTrading,
    InstrumentsDefined,
    LadderChanged,
    MarketSlice,
    Message,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderFilled,
    PortfolioStep,
    ResumeTrading,
    RiskStep,
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
from risk_guardian.core import NAME, RiskGuardian
from risk_guardian.settings import Level, Limits, Settings

YEN, HOUR, MINUTE = "USD-JPY.ECB", Timeframe.H1.ns, 60 * 10**9
LIMITS = Limits(
    max_order_qty=48_000,
    max_order_notional=0.5,
    max_position=0.6,
    max_gross_exposure=0.9,
    price_collar=0.02,
    orders_per_minute=3,
    stale_after_bars=2,
)
FACTORS = {0: Decimal(1), 1: Decimal("0.75"), 2: Decimal("0.5"), 3: Decimal("0.25")}
LADDER = (  # the fx ladder, but in reach of a few hours
    Level(trigger=0.01, release=0.005, exposure_factor=0.75),
    Level(trigger=0.02, release=0.01, exposure_factor=0.5, state=TradingState.REDUCING, lift_after_days=1),
    Level(trigger=0.06, release=0.04, exposure_factor=0.25, state=TradingState.HALTED, manual=True),
)
SETTINGS = Settings(limits=LIMITS, drawdown_ladder=LADDER)
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
    approvals: list[int] = field(default_factory=list)
    equity: Decimal = Decimal(100_000)
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

    def shrinks(self, order: Order) -> bool:
        low, high = self.extremes(order.instrument_id, leave_out=order.client_order_id)
        closable = low if order.side is Side.SELL else -high
        return closable >= order.qty


words = st.one_of(
    st.tuples(st.just("hour"), st.integers(90, 115), st.integers(95, 115)),
    st.tuples(st.just("hour"), st.integers(90, 115), st.integers(95, 115)),
    st.tuples(st.just("hours without a price"), st.integers(1, 3)),
    st.tuples(
        st.just("propose"),
        st.lists(
            st.tuples(
                st.integers(0, 19),
                st.sampled_from([EUR_USD] * 5 + [YEN] * 2 + ["XXX-USD.ECB"]),
                st.sampled_from(Side),
                st.integers(1, 90_000),
                st.sampled_from([Decimal(1), Decimal(1), Decimal("1.015"), Decimal("1.03")]),
                st.booleans(),
            ),
            min_size=1,
            max_size=3,
        ),
    ),
    st.tuples(st.just("fill"), st.integers(0, 2), st.sampled_from([Decimal(1), Decimal("0.4")])),
    st.tuples(st.just("cancel"), st.integers(0, 5)),
    st.tuples(st.just("halt"), st.booleans()),
    st.just(("resume",)),
)


class Play:
    """Turns words into messages that fit what the guardian said so far, and judges what it says with `Book`."""

    def __init__(self) -> None:
        self.guardian, self.book, self.step = RiskGuardian(SETTINGS, Account()), Book(), 0
        self.tape: list[Message] = []
        self.said: list[Message] = []
        self.tell(DEFINED)
        self.hour(110, 110)

    def tell(self, message: Message) -> None:
        self.tape.append(message)
        for output in self.guardian.handle(message):
            assert isinstance(output, Message)
            self.said.append(output)
            self.witness(output)

    def play(self, word: str, *arguments: Any) -> None:
        match word, arguments:
            case "hour", [eur, yen]:
                self.hour(eur, yen)
            case "hours without a price", [hours]:
                self.hour(None, None, hours)
            case "propose", [wanted]:
                self.propose(wanted)
            case "fill" | "cancel", [index, *share]:
                if index < len(self.book.working):
                    self.end(list(self.book.working)[index], *share)
            case "halt", [flatten]:
                self.tell(a(HaltTrading, flatten=flatten))
            case _:
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
        book.equity = book.value()
        self.tell(ExecutionStep(ts_event=book.now, book="fx", step=self.step, cash={}))

    def propose(self, wanted: list[Any]) -> None:
        orders = tuple(
            a(
                Order,
                client_order_id=f"o-{number}",
                strategy_id="book",
                instrument_id=name,
                side=side,
                qty=Decimal(qty),
                ref_px=(self.book.px.get(name, Decimal(1)) * off).quantize(Decimal("0.00001")),
                order_type=OrderType.MARKET,
                limit_px=None,
                stop_px=None,
                reduce_only=reduce_only,
            )
            for number, name, side, qty, off, reduce_only in wanted
        )
        self.tell(a(PortfolioStep, ts_event=self.book.now, step=self.step, orders=orders))

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
        px, quote = book.px[order.instrument_id], "USD" if order.instrument_id == EUR_USD else "JPY"
        book.held[order.instrument_id] += qty * order.side.sign
        book.cash[quote] -= qty * order.side.sign * px
        fill = a(
            OrderFilled,
            client_order_id=order_id,
            instrument_id=order.instrument_id,
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
            case OrderApproved():
                assert message.order.client_order_id not in book.left, "an id is approved once"
                self.check(message.order)
                book.approvals.append(book.now)
                book.working[message.order.client_order_id] = message.order
                book.left[message.order.client_order_id] = message.order.qty

    def check(self, order: Order) -> None:
        book, name = self.book, order.instrument_id
        if order.strategy_id == NAME:
            assert order.reduce_only
            assert book.held[name] * order.side.sign < 0
            assert order.qty <= abs(book.held[name])
            return
        assert book.trading is not TradingState.HALTED
        if book.shrinks(order):
            return
        assert book.trading is TradingState.ACTIVE
        assert sum(ts > book.now - MINUTE for ts in book.approvals) < LIMITS.orders_per_minute
        assert book.now - book.px_ns[name] <= LIMITS.stale_after_bars * HOUR
        assert abs(order.ref_px / book.px[name] - 1) <= Decimal("0.02001")
        self.check_size(order)

    def check_size(self, order: Order) -> None:
        book, name = self.book, order.instrument_id
        equity = book.equity * book.factor * Decimal("1.0000001")  # the arithmetic of 28 digits
        low, high = book.extremes(name)
        after = abs(high + order.qty) if order.side is Side.BUY else abs(low - order.qty)
        others = sum(max(map(abs, book.extremes(other))) * book.unit(other) for other in book.held if other != name)
        assert order.qty <= LIMITS.max_order_qty
        assert order.qty * book.unit(name) <= equity * Decimal("0.5")
        assert after * book.unit(name) <= equity * Decimal("0.6")
        assert others + after * book.unit(name) <= equity * Decimal("0.9")


opened = [("propose", [(99, EUR_USD, Side.BUY, 45_000, Decimal(1), False)]), ("fill", 0, Decimal(1))]
losses = st.integers(100, 108).map(lambda eur: [*opened, ("hour", eur, 110)])
plays = st.builds(lambda before, after: before + after, losses | st.just([]), st.lists(words, max_size=30))


def played(script: Sequence[Any]) -> Play:
    play = Play()
    for word in script:
        play.play(*word)
    return play


@pytest.mark.req("RSK-01", "RSK-02", "RSK-09")
@examples(max_examples=400, deadline=None)
@given(plays)
def test_nothing_past_a_limit_and_nothing_after_a_halt_is_ever_approved(script: Any) -> None:
    played(script)


@pytest.mark.req("RSK-02")
@given(plays)
def test_every_proposed_order_gets_one_verdict_and_every_step_is_closed(script: Any) -> None:
    play = played(script)
    asked = [order for message in play.tape if isinstance(message, PortfolioStep) for order in message.orders]
    verdicts = [
        message.order
        for message in play.said
        if isinstance(message, OrderApproved | OrderDenied) and message.order.strategy_id != NAME
    ]
    assert [order.client_order_id for order in verdicts] == [order.client_order_id for order in asked]
    closed = [message for message in play.said if isinstance(message, RiskStep)]
    assert len(closed) == sum(isinstance(message, PortfolioStep) for message in play.tape)
    assert sum(step.approved + step.denied for step in closed) == len(asked)


@pytest.mark.req("RSK-08")
@given(plays)
def test_the_trading_state_is_what_was_last_said_and_the_peak_only_falls_by_a_resume(script: Any) -> None:
    play, peak, resumed = Play(), Decimal(0), False
    for word in script:
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
    first, second = RiskGuardian(SETTINGS, Account()), RiskGuardian(SETTINGS, Account())
    said = [output for message in play.tape[:cut] for output in first.handle(message)]
    snapshots.restore(second, snapshots.encode(first, 1, "mark"), "mark")
    said += [output for message in play.tape[cut:] for output in second.handle(message)]
    assert said == play.said
    assert second.state == play.guardian.state
