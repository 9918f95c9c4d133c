"""The guardian's measures: its own daily returns, VaR of the book as it is and as it would be, and how the VaR did."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages import MarketSlice, PortfolioStep
from common.messages.market_data import Bar, Quote
from common.messages.portfolio import Contribution, Target
from common.model.enums import AssetClass
from common.model.instrument import Instrument
from common.model.ledger import Position
from common.model.money import Conversion
from common.model.time import NS_PER_DAY, NS_PER_HOUR, Timeframe
from common.quant import tail_risk
from common.runtime import codec, snapshots
from common.testing.builders import a
from risk_guardian.measures import Measures, MeasureSettings
from risk_guardian.methods import Method
from risk_guardian.scenarios import load
from risk_guardian.state import State, Working

MONDAY = 1_483_315_200_000_000_000  # 2017-01-02T00:00:00Z
EUR, GBP, JPY, EURGBP = "EUR-USD.X", "GBP-USD.X", "USD-JPY.X", "EUR-GBP.X"
NAMES = (EUR, GBP, JPY, EURGBP)
START = {EUR: 1.1, GBP: 1.3, JPY: 110.0, EURGBP: 0.85}


def fx(instrument_id: str) -> Instrument:
    base, quote = instrument_id.removesuffix(".X").split("-")
    return a(Instrument, instrument_id=instrument_id, base=base, quote=quote)


class World:
    """A market that only the measures see. `day` closes one 1d bar of each instrument by a return."""

    def __init__(self, instruments: tuple[Instrument, ...] | None = None, **settings: Any) -> None:
        self.state = State(book="fx", equity=Decimal(100_000))
        defined = instruments or tuple(fx(name) for name in NAMES)
        self.state.instruments = {each.instrument_id: each for each in defined}
        self.measures = Measures(MeasureSettings(**settings), "USD", load())
        self.measures.define(self.state)
        self.px = {each: START.get(each, 100.0) for each in self.state.instruments}
        self.ts = MONDAY

    def say(self, *bars: Bar, ts: int | None = None, quotes: tuple[Quote, ...] = ()) -> None:
        self.ts = self.ts if ts is None else ts
        self.state.ts, self.state.step = self.ts, self.state.step + 1
        self.measures.observe(
            self.state, MarketSlice(ts_event=self.ts, book="fx", step=self.state.step, bars=bars, quotes=quotes)
        )

    def day(self, *returns: float) -> None:
        """Weekdays only."""
        self.ts += NS_PER_DAY
        while (self.ts // NS_PER_DAY - 1 + 3) % 7 >= 5:
            self.ts += NS_PER_DAY
        for name, value in zip(self.px, returns, strict=True):
            self.px[name] *= 1 + value
        self.say(*(bar(name, px) for name, px in self.px.items()))

    def days(self, returns: np.ndarray) -> None:
        for row in returns.tolist():
            self.day(*row)

    def hold(self, **units: float) -> None:
        """`eur=1000` long, 0 flat."""
        named = dict(zip(("eur", "gbp", "jpy", "eurgbp"), NAMES, strict=True))
        for name, qty in units.items():
            self.state.ledger.positions[named[name]] = Position(
                instrument_id=named[name], signed_qty=Decimal(str(qty)), avg_px=Decimal(1)
            )

    def work(self, instrument_id: str, signed_qty: float) -> None:
        self.state.working[f"o-{len(self.state.working)}"] = Working(
            instrument_id=instrument_id, signed_leaves_qty=Decimal(str(signed_qty))
        )

    def reading(self):
        return self.measures.evaluate(self.state)

    def after(self):
        return self.measures.after(self.state)

    def returns(self, instrument_id: str) -> list[float]:
        past = self.state.measures.history
        row = past.rows[instrument_id]
        return past.returns[row, past.returns.shape[1] - past.counts[row] :].tolist()


def bar(instrument_id: str, close: float, timeframe: Timeframe = Timeframe.D1, **changes: Any) -> Bar:
    return a(Bar, instrument_id=instrument_id, timeframe=timeframe, close=close, **changes)


def random_days(days: int, seed: int = 1, width: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.006, (days, width)) + rng.normal(0, 0.003, (days, 1))


@pytest.fixture
def world() -> World:
    """Three hundred days of four pairs."""
    made = World()
    made.days(random_days(301))
    return made


# --- daily returns ---------------------------------------------------------------------------------------------------


@pytest.mark.req("RSK-03")
def test_a_return_is_from_one_daily_close_to_the_next():
    world = World()
    world.days(np.array([[0.01] * 4, [0.02] * 4, [-0.01] * 4]))
    assert world.returns(EUR) == pytest.approx([0.02, -0.01])


def test_without_daily_bars_the_last_price_of_the_utc_day_is_its_close():
    world = World()
    for hour, px in enumerate((1.0, 1.1, 1.2, 1.0, 1.5, 1.32), start=1):  # eight hours apart: two days
        world.say(bar(EUR, px, Timeframe.H1), ts=MONDAY + 8 * hour * NS_PER_HOUR)
    assert world.returns(EUR) == pytest.approx([1.32 / 1.2 - 1])
    world.say(bar(EUR, 2.64, Timeframe.H1), ts=MONDAY + 50 * NS_PER_HOUR)
    assert len(world.returns(EUR)) == 1  # that day is not over
    world.say(bar(EUR, 9.0, Timeframe.H1), ts=MONDAY + 73 * NS_PER_HOUR)
    assert world.returns(EUR) == pytest.approx([1.32 / 1.2 - 1, 1.0])


def test_quotes_price_an_instrument_as_well():
    world = World()
    for day, mid in enumerate((1.0, 1.2), start=1):
        world.say(quotes=(a(Quote, instrument_id=EUR, bid=mid - 0.01, ask=mid + 0.01),), ts=MONDAY + day * NS_PER_DAY)
    assert world.returns(EUR) == pytest.approx([0.2])


def test_a_sunday_evening_belongs_to_monday_unless_something_trades_at_weekends():
    coin = a(Instrument, instrument_id="BTC-USD.X", asset_class=AssetClass.CRYPTO, base="BTC")
    friday = MONDAY + 5 * NS_PER_DAY
    for world, days in ((World(), 1), (World((fx(EUR), coin)), 2)):
        for ts, px in ((friday, 1.0), (friday + 47 * NS_PER_HOUR, 1.1), (friday + 3 * NS_PER_DAY, 1.21)):
            world.say(bar(EUR, px, Timeframe.H1), ts=ts)
        assert len(world.returns(EUR)) == days
        assert np.prod(1 + np.array(world.returns(EUR))) == pytest.approx(1.21)


def test_an_instrument_without_a_close_did_not_move_that_day_and_makes_up_for_it():
    world = World()
    world.days(np.array([[0.0] * 4] * 2))
    world.ts += NS_PER_DAY
    world.say(bar(EUR, 1.1))
    world.ts += NS_PER_DAY
    world.say(bar(EUR, 1.1), bar(GBP, 1.3 * 1.1))
    assert world.returns(GBP) == pytest.approx([0.0, 0.0, 0.1])
    assert world.returns(JPY) == [0.0, 0.0, 0.0]


def test_the_window_forgets_what_is_older():
    world = World(window=100, normal_window=80)
    world.days(random_days(150))
    assert len(world.returns(EUR)) == 100
    assert world.returns(EUR) == pytest.approx(random_days(150)[50:, 0])


def test_defining_the_instruments_again_keeps_their_past_and_a_new_one_begins_without():
    world = World()
    world.days(random_days(50))
    before = world.returns(GBP)
    chf = fx("USD-CHF.X")
    world.state.instruments = {each: world.state.instruments[each] for each in (GBP, EUR)} | {chf.instrument_id: chf}
    world.measures.define(world.state)
    assert world.returns(GBP) == before
    assert world.returns("USD-CHF.X") == []


# --- the book as it is -----------------------------------------------------------------------------------------------


@pytest.mark.req("RSK-03")
@pytest.mark.parametrize("method", list(Method))
def test_var_is_that_of_todays_book_over_the_past(method):
    world = World(method=method)
    past = random_days(301)
    world.days(past)
    world.hold(eur=50_000, jpy=-30_000)
    # A dollar-yen position is worth its units in dollars, whatever the yen.
    book = past[1:, 0] * 50_000 * world.px[EUR] / 100_000 - past[1:, 2] * 30_000 / 100_000
    by = {
        Method.HISTORICAL: tail_risk.historical(book, 0.95),
        Method.PARAMETRIC: tail_risk.parametric(book, 0.95),
        Method.CORNISH_FISHER: tail_risk.cornish_fisher(book, 0.95),
        Method.STUDENT_T: tail_risk.student_t(book, 0.95, dof=4.0, draws=20_000, seed=1),
    }
    by[Method.WORST] = max(by[Method.HISTORICAL], by[Method.PARAMETRIC])
    expected = by[method].var if by[method] else None
    assert world.reading().var_95_1d == pytest.approx(expected, rel=1e-9)


@pytest.mark.req("RSK-03")
def test_too_little_history_is_undefined_and_a_flat_book_has_nothing_to_lose():
    world = World()
    world.days(random_days(30))
    world.hold(eur=1000)
    assert world.reading().var_95_1d is None
    world.day(0.0, 0.0, 0.0, 0.0)
    assert world.reading().var_95_1d > 0
    world.hold(eur=0)
    assert world.reading().var_95_1d == 0.0
    assert set(world.measures.measured(world.state).var.values()) == {0.0, None}  # without variance no Cornish-Fisher


@pytest.mark.parametrize("equity", [None, Decimal(0), Decimal(-5)])
def test_without_equity_nothing_can_be_measured(world, equity):
    world.hold(eur=1000)
    world.state.equity = equity
    assert (world.reading().var_95_1d, world.reading().stress, world.after()) == (None, None, None)
    measured = world.measures.measured(world.state)
    assert set(measured.var.values()) == {None}
    assert (measured.by_currency, measured.heat, measured.component_var) == ({}, None, {})


@pytest.mark.req("RSK-11")
@given(st.lists(st.integers(-100_000, 100_000), min_size=4, max_size=4))
def test_exposures_are_those_of_the_ledger(units):
    world = World()
    world.days(random_days(2))
    world.hold(**dict(zip(("eur", "gbp", "jpy", "eurgbp"), units, strict=True)))
    state = world.state
    px = {name: Decimal(repr(value)) for name, value in world.px.items()}
    ledger = state.ledger.exposures(state.instruments, px, Conversion("USD", state.instruments.values()))
    found = world.measures.measured(state)
    weights = {name: float(value) / 100_000 for name, value in ledger.items()}
    currencies: dict[str, float] = {}
    for name, weight in weights.items():
        currencies[state.instruments[name].base] = currencies.get(state.instruments[name].base, 0) + weight
        currencies[state.instruments[name].quote] = currencies.get(state.instruments[name].quote, 0) - weight
    assert found.by_currency == pytest.approx(currencies, rel=1e-9, abs=1e-12)
    assert found.by_sector.get("FX", 0.0) == pytest.approx(sum(weights.values()), rel=1e-9, abs=1e-12)
    assert sum(found.by_strategy.values()) == pytest.approx(sum(weights.values()), rel=1e-9, abs=1e-12)


@pytest.mark.req("RSK-03")
def test_everything_measured_is_said_and_the_components_add_up(world):
    world.hold(eur=50_000, gbp=-20_000, eurgbp=10_000)
    found = world.measures.measured(world.state)
    assert set(found.var) == {f"{m}_{n}" for m in Method if m is not Method.WORST for n in (95, 99)} == set(found.es)
    assert all(found.es[name] >= var for name, var in found.var.items() if var is not None)
    assert sum(found.component_var.values()) == pytest.approx(found.var["parametric_95"], rel=1e-9)
    assert set(found.component_var) == set(found.marginal_var) == {EUR, GBP, EURGBP}
    assert codec.encode(found)


@pytest.mark.req("RSK-11")
def test_concentration_and_liquidity():
    shares = tuple(a(Instrument, instrument_id=f"{s}.X", asset_class=AssetClass.EQUITY, base=s) for s in ("XLK", "XLF"))
    world = World(shares)
    for day in range(1, 4):
        world.say(
            *(bar(f"{s}.X", 100.0, volume=v) for s, v in (("XLK", 1e4), ("XLF", 5e3))), ts=MONDAY + day * NS_PER_DAY
        )
    for name, qty in (("XLK.X", 300), ("XLF.X", 100)):
        world.state.ledger.positions[name] = Position(instrument_id=name, signed_qty=Decimal(qty), avg_px=Decimal(100))
    found = world.measures.measured(world.state)
    assert found.concentration == pytest.approx(0.75**2 + 0.25**2)
    assert found.liquidity_days == pytest.approx(300 / (0.1 * 1e4))
    assert found.by_currency == {}  # a share is no currency
    assert world.measures.daily_volume(world.state, "XLF.X") == 5e3


def test_an_unknown_volume_leaves_liquidity_undefined():
    world = World()
    world.say(bar(EUR, 1.1, volume=0.0), ts=MONDAY + NS_PER_DAY)
    world.say(bar(EUR, 1.1, volume=0.0), ts=MONDAY + 2 * NS_PER_DAY)
    world.hold(eur=1000)
    assert world.measures.measured(world.state).liquidity_days is None


@pytest.mark.req("RSK-11")
def test_heat_and_strategies_follow_what_is_held_of_the_target(world):
    shares = (("trend", 600, 60), ("carry", 400, 20))
    target = a(
        Target,
        instrument_id=EUR,
        signed_qty=Decimal(1000),
        contributions=tuple(
            a(Contribution, strategy_id=name, signed_qty=Decimal(qty), risk=Decimal(risk)) for name, qty, risk in shares
        ),
    )
    world.measures.on_targets(world.state, a(PortfolioStep, targets=(target,)))
    assert world.after().heat() == pytest.approx(80 / 100_000)
    world.hold(eur=500)
    found, weight = world.measures.measured(world.state), 500 * world.px[EUR] / 100_000
    assert found.heat == pytest.approx(40 / 100_000)
    assert found.by_strategy == pytest.approx({"trend": 0.6 * weight, "carry": 0.4 * weight})
    closing = msgspec.structs.replace(target, signed_qty=Decimal(0), contributions=())
    world.measures.on_targets(world.state, a(PortfolioStep, targets=(closing,)))
    assert world.after().heat() == 0.0
    assert world.reading().heat == pytest.approx(40 / 100_000)  # until it is sold
    world.hold(gbp=1)
    assert world.reading().heat is None  # nobody gave that a stop


# --- volatility and correlation --------------------------------------------------------------------------------------


@pytest.mark.req("RSK-05")
def test_three_times_the_normal_moves_are_three_times_the_volatility():
    world = World()
    calm = np.tile([[0.001], [-0.001]], (100, 4))
    world.days(calm)
    assert world.reading().volatility == pytest.approx(1.0)
    world.days(3 * calm[:20])
    assert world.reading().volatility == pytest.approx(3.0)


@pytest.mark.req("RSK-05")
def test_a_move_of_the_day_under_way_counts_before_the_day_is_over():
    world = World()
    world.days(np.tile([[0.001], [-0.001]], (100, 4)))
    world.hold(eur=1000)
    calm = world.reading().volatility
    world.say(bar(EUR, world.px[EUR] * 0.97, Timeframe.H1), ts=world.ts + NS_PER_HOUR)
    assert world.reading().volatility == pytest.approx(np.sqrt((19 + 30**2) / 20))
    world.say(bar(EUR, world.px[EUR], Timeframe.H1), ts=world.ts + NS_PER_HOUR)
    assert world.reading().volatility == pytest.approx(calm)


@pytest.mark.req("RSK-05")
def test_what_is_held_weighs_in_the_volatility():
    world = World()
    calm = np.tile([[0.001], [-0.001]], (100, 4))
    world.days(calm)
    world.days(calm[:20] * [3, 1, 1, 1])
    assert world.reading().volatility == pytest.approx(1.5)  # of the market, when flat
    world.hold(eur=-1000)
    assert world.reading().volatility == pytest.approx(3.0)
    assert world.measures.volatility_of(world.state, EUR) == pytest.approx(0.003)


def test_volatility_without_a_normal_to_compare_with_is_undefined():
    world = World()
    world.days(random_days(50))
    assert world.reading().volatility is None
    world.day(0.0, 0.0, 0.0, 0.0)
    assert world.reading().volatility is not None


@pytest.mark.req("RSK-07")
def test_correlation_is_the_mean_of_all_pairs_whichever_way_they_move(world):
    rows = np.array([world.returns(name)[-30:] for name in NAMES])
    expected = np.abs(np.corrcoef(rows))[np.triu_indices(4, 1)].mean()
    assert world.reading().correlation == pytest.approx(expected, rel=1e-9)
    together = random_days(30, width=1) * [1, 1, -1, 1]
    world.days(together)
    assert world.reading().correlation == pytest.approx(1.0)
    assert world.after().correlated(EUR) == [GBP, JPY, EURGBP]
    assert world.after().correlated("NEW.X") == ()


@pytest.mark.req("RSK-07")
def test_what_is_held_can_move_together_in_a_market_that_does_not():
    instruments = tuple(fx(name) for name in (*NAMES, "AUD-USD.X", "NZD-USD.X"))
    world = World(instruments)
    returns = random_days(40, width=6)
    returns[:, 1] = returns[:, 2] = returns[:, 0]
    world.days(returns)
    market = world.reading().correlation
    world.hold(eur=1, gbp=1, jpy=1)
    assert market < 0.6
    assert world.reading().correlation == pytest.approx(1.0)


def test_one_pair_is_no_market():
    world = World((fx(EUR), fx(GBP)))
    world.days(random_days(40, width=1) * [1, 1])
    assert world.reading().correlation is None
    assert world.after().correlated(EUR) == [GBP]


# --- the book as it would be -----------------------------------------------------------------------------------------

units = st.integers(-100_000, 100_000)


@pytest.mark.req("RSK-03")
@given(held=st.lists(units, min_size=4, max_size=4), bought=units, row=st.integers(0, 3))
def test_the_book_after_an_order_is_the_book_that_holds_it(held, bought, row):
    world = World()
    world.days(random_days(120, seed=5))
    names = ("eur", "gbp", "jpy", "eurgbp")
    world.hold(**dict(zip(names, held, strict=True)))
    after = world.after()
    foretold = after.var_95(NAMES[row], Decimal(bought)), after.worst_stress(NAMES[row], Decimal(bought))
    world.hold(**{names[row]: held[row] + bought})
    then = world.reading()
    assert foretold[0] == pytest.approx(then.var_95_1d, rel=1e-9, abs=1e-12)
    assert foretold[1][1] == pytest.approx(then.stress, rel=1e-9, abs=1e-12)


@pytest.mark.req("RSK-03")
@given(
    held=st.lists(units, min_size=4, max_size=4),
    working=st.lists(st.tuples(st.integers(0, 3), units.filter(bool)), max_size=6),
    bought=units.filter(bool),
    row=st.integers(0, 3),
)
def test_the_worse_of_all_and_nothing_that_works_counts(held, working, bought, row):
    world = World()
    world.days(random_days(60, seed=6))
    names = ("eur", "gbp", "jpy", "eurgbp")
    world.hold(**dict(zip(names, held, strict=True)))
    for number, qty in working:
        world.work(NAMES[number], qty)
    after = world.after()
    found, shortfall = after.var_95(NAMES[row], Decimal(bought)), after.es_95(NAMES[row], Decimal(bought))
    buys, sells = ([sum(q for n, q in working if n == i and q * sign > 0) for i in range(4)] for sign in (1, -1))
    full = [max(h + b, h + s, key=abs) for h, b, s in zip(held, buys, sells, strict=True)]
    full[row] = held[row] + (buys if bought > 0 else sells)[row]
    world.state.working.clear()
    worst = []
    for book in (held, full):
        world.hold(**dict(zip(names, book, strict=True)))
        world.hold(**{names[row]: book[row] + bought})
        worst.append(world.reading().var_95_1d)
    assert found == pytest.approx(max(worst), rel=1e-9, abs=1e-12)
    assert shortfall >= found


def test_an_order_approved_meanwhile_counts_for_the_next(world):
    after = world.after()
    alone = after.var_95(EUR, Decimal(1000))
    world.work(EUR, 1000)
    assert after.var_95(EUR, Decimal(1000)) == pytest.approx(2 * alone)
    assert after.var_95(GBP, Decimal(0)) == pytest.approx(alone)  # no new order: what works


def test_an_order_in_something_without_a_price_or_past_is_undefined(world):
    chf = fx("USD-CHF.X")
    world.state.instruments = {**world.state.instruments, chf.instrument_id: chf}
    world.measures.define(world.state)
    assert world.after().var_95("USD-CHF.X", Decimal(1)) is None
    assert world.after().worst_stress("USD-CHF.X", Decimal(1)) is None
    world.say(bar("USD-CHF.X", 0.9), ts=world.ts + NS_PER_DAY)
    assert world.after().var_95("USD-CHF.X", Decimal(1)) is None
    assert world.after().worst_stress("USD-CHF.X", Decimal(1)) is not None
    assert world.after().var_95("NEW.X", Decimal(1)) is None


# --- the back-test ---------------------------------------------------------------------------------------------------


@pytest.mark.req("RSK-03")
def test_every_days_loss_is_held_against_the_var_of_the_evening_before():
    world, past = World(), random_days(400, seed=9)
    world.hold(eur=50_000, jpy=-30_000)
    breaches = []
    before: tuple[float, float] | None = None
    for day, row in enumerate(past.tolist()):
        if before is not None and day < 399:
            loss = -(row[0] * before[0] - row[2] * 0.3)
            breaches.append(loss > before[1])
        world.day(*row)
        var = world.reading().var_95_1d
        before = None if var is None else (50_000 * world.px[EUR] / 100_000, var)
    test = world.state.measures.backtest
    assert (test.days, test.breaches) == (len(breaches), sum(breaches))  # the last day is not over
    pairs = list(pairwise(breaches))
    assert (test.n00, test.n01, test.n10, test.n11) == tuple(
        pairs.count((x, y)) for x in (False, True) for y in (False, True)
    )
    found = world.measures.measured(world.state)
    assert found.kupiec_p == tail_risk.kupiec(test.days, test.breaches, 0.95).p_value
    assert found.kupiec_p > 0.01  # normal returns: the model is right
    assert found.christoffersen_p is not None


def test_days_without_a_position_prove_nothing():
    world = World()
    for row in random_days(100).tolist():
        world.day(*row)
        world.reading()
    assert world.state.measures.backtest.days == 0
    assert world.measures.measured(world.state).kupiec_p is None


# --- what survives ---------------------------------------------------------------------------------------------------


class Holder:
    def __init__(self, state: State) -> None:
        self.state = state


def test_a_snapshot_at_any_step_changes_nothing():
    plain, restarted = World(), World()
    for world in (plain, restarted):
        world.hold(eur=50_000, jpy=-30_000)
    for row in random_days(60).tolist():
        for world in (plain, restarted):
            world.day(*row)
        payload = snapshots.encode(Holder(restarted.state), 1, "same")
        holder = Holder(State())
        assert snapshots.restore(holder, payload, "same") == 1
        restarted.state = holder.state
        restarted.measures = Measures(MeasureSettings(), "USD", load())
        assert restarted.reading() == plain.reading()
        assert restarted.measures.measured(restarted.state) == plain.measures.measured(plain.state)


def test_a_window_that_cannot_hold_the_others_is_refused():
    with pytest.raises(ValueError, match="window >= 270"):
        MeasureSettings(window=200)
