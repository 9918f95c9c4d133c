"""What an order may make of the book: at a limit it passes, over it it is cut to it or denied, with the numbers (RSK-02, PFL-06)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from common.messages import OrderApproved, OrderDenied, OrderFilled
from common.messages.market_data import Bar
from common.messages.portfolio import Contribution, Target
from common.model.enums import DenyCode
from common.model.time import NS_PER_DAY
from common.testing.builders import EUR_USD, a

YEN, GBP, EUR_GBP = "USD-JPY.ECB", "GBP-USD.ECB", "EUR-GBP.ECB"


class Measured:
    """Measures of a book that a test makes up: `per_unit` of loss for every unit of the order on top of `base`."""

    def __init__(
        self, per_unit: float | None = None, base: float = 0.0, alike: Sequence[str] = (), **known: Any
    ) -> None:
        self._per_unit, self._base, self._alike, self._known = per_unit, base, alike, known

    def var_95(self, instrument_id: str, signed_qty: Decimal) -> float | None:
        return None if self._per_unit is None else self._base + self._per_unit * float(abs(signed_qty))

    es_95 = var_95

    def worst_stress(self, instrument_id: str, signed_qty: Decimal) -> tuple[str, float] | None:
        loss = self.var_95(instrument_id, signed_qty)
        return None if loss is None else ("flood", loss)

    def stress_breach(self, instrument_id: str, signed_qty: Decimal) -> tuple[str, float, float] | None:
        limit = self._known.get("own_limit")
        loss = self.var_95(instrument_id, signed_qty)
        return ("flood", loss, limit) if limit is not None and loss is not None and loss > limit else None

    def correlated(self, instrument_id: str) -> Sequence[str]:
        return self._alike

    def heat(self) -> float | None:
        return self._known.get("heat")


def target(name: str = EUR_USD, **shares: float) -> Target:
    of = tuple(a(Contribution, strategy_id=strategy, signed_qty=Decimal(str(qty))) for strategy, qty in shares.items())
    return a(Target, instrument_id=name, contributions=of)


def check_limit(bench: Any, code: DenyCode, limits: dict[str, Any], sign: int, fits: int, before: Any) -> None:
    """`fits` units pass untouched, one more is cut to that, and is denied where cutting is off."""
    whole, cut, refused = (bench(**limits), bench(**limits), bench(resize=False, **limits))
    for each in (whole, cut, refused):
        before(each)
    passed = whole.one(sign * fits)
    assert isinstance(passed, OrderApproved), passed
    assert (passed.order.qty, passed.resized_from, passed.rule) == (fits, None, "")
    resized = cut.one(sign * (fits + 1))
    assert (resized.order.qty, resized.resized_from) == (fits, fits + 1)
    assert resized.rule.startswith(f"{code}: ")
    denied = refused.one(sign * (fits + 1))
    assert denied.code is code
    assert denied.observed > denied.limit > 0


def nothing(bench: Any) -> None:
    pass


def gbp_long(bench: Any) -> None:
    bench.hold(20_000, GBP)  # 25,000 dollars


def gbp_long_and_euro_short(bench: Any) -> None:
    gbp_long(bench)
    bench.hold(-1000)


def euro_in_pounds(bench: Any) -> None:
    bench.hold(10_000, EUR_GBP)  # 11,000 dollars of euros against pounds


def two_strategies(bench: Any) -> None:
    """Of the pound position three quarters are crossover's: 18,750 dollars; of the next euros all are."""
    targets = (target(GBP, sma_cross=15_000, pullback=5000), target(sma_cross=100))
    gbp_long(bench)
    bench.ask(targets=targets)


def correlated_with_pounds(bench: Any) -> None:
    gbp_long(bench)
    bench.after = Measured(alike=(GBP,))


def measured(bench: Any) -> None:
    bench.after = Measured(per_unit=0.004, base=0.5)


@pytest.mark.req("RSK-02", "PFL-06")
@pytest.mark.parametrize(
    ("code", "limits", "sign", "fits", "before"),
    [
        (DenyCode.MAX_QTY, {"max_order_qty": 700}, 1, 700, nothing),
        (DenyCode.MAX_NOTIONAL, {"max_order_notional": 0.11}, -1, 10_000, nothing),
        (DenyCode.MAX_POSITION, {"max_position": 0.22}, 1, 20_000, nothing),
        (DenyCode.MAX_POSITION, {"max_position": 0.22}, 1, 20_000 - 0, gbp_long),
        (DenyCode.MAX_GROSS_EXPOSURE, {"max_gross_exposure": 0.36}, -1, 10_000, gbp_long),
        (DenyCode.MAX_GROSS_EXPOSURE, {"max_gross_exposure": 0.36}, 1, 11_000, gbp_long_and_euro_short),
        (DenyCode.MAX_NET_EXPOSURE, {"max_net_exposure": 0.36}, 1, 10_000, gbp_long),
        (DenyCode.MAX_NET_EXPOSURE, {"max_net_exposure": 0.08}, -1, 30_000, gbp_long),
        (DenyCode.MAX_LEVERAGE, {"max_leverage": 0.36}, -1, 10_000, gbp_long),
        (DenyCode.MAX_DEPLOYED, {"max_deployed": 0.36}, 1, 10_000, gbp_long),
        (DenyCode.MAX_CURRENCY, {"max_currency": 0.33}, 1, 20_000, euro_in_pounds),
        (DenyCode.MAX_STRATEGY_TYPE, {"max_strategy_type": 0.2975}, 1, 10_000, two_strategies),
        (DenyCode.MAX_SECTOR, {"max_sector": 0.36, "sectors": {"EUR-USD": "e", "GBP-USD": "e"}}, 1, 10_000, gbp_long),
        (DenyCode.MAX_SECTOR, {"max_sector": 0.11, "sectors": {"EUR-USD": "e", "GBP-USD": "g"}}, 1, 10_000, gbp_long),
        (DenyCode.MAX_SECTOR, {"max_sector": 0.11}, 1, 10_000, gbp_long),
        (DenyCode.MAX_CORRELATED, {"max_correlated": 0.36}, 1, 10_000, correlated_with_pounds),
        (DenyCode.MAX_VAR, {"max_var_95_1d": 0.9}, 1, 100, measured),
        (DenyCode.MAX_ES, {"max_es_95_1d": 0.9}, -1, 100, measured),
        (DenyCode.MAX_STRESS_LOSS, {"max_stress_loss": 0.9}, 1, 100, measured),
    ],
)
def test_at_a_limit_an_order_passes_and_over_it_it_is_cut_or_denied(
    bench: Any, code: DenyCode, limits: dict[str, Any], sign: int, fits: int, before: Any
) -> None:
    check_limit(bench, code, limits, sign, fits, before)


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize(
    "limit", ["max_position", "max_gross_exposure", "max_net_exposure", "max_sector", "max_currency"]
)
def test_limits_shrink_with_the_ladder(bench: Any, limit: str) -> None:
    tight = bench(**{limit: 0.22})
    tight.factor = 0.5
    assert tight.one(20_000).order.qty == 10_000


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize("limit", ["max_leverage", "max_deployed"])
def test_leverage_and_deployed_are_fixed_whatever_the_ladder_says(bench: Any, limit: str) -> None:
    tight = bench(**{limit: 0.22})
    tight.factor = 0.5
    assert tight.one(20_001).order.qty == 20_000


@pytest.mark.req("PFL-06")
def test_deployed_is_what_was_paid_so_a_loss_on_paper_makes_no_room(bench: Any) -> None:
    tight = bench(max_deployed=0.5)
    tight.hold(20_000, GBP, px="2.0")  # 40,000 dollars paid, worth 25,000
    assert tight.one(20_000).order.qty == 9090
    worked = bench(max_deployed=0.5)
    worked.hold(10_000, GBP, px="2.0")
    worked.one(16_000, GBP)  # 20,000 works at the last price
    assert worked.one(20_000).order.qty == 9090


@pytest.mark.req("RSK-02")
@pytest.mark.parametrize(
    ("limit", "value"),
    [("max_position", 0.11), ("max_gross_exposure", 0.11), ("max_deployed", 0.11), ("max_sector", 0.11)],
)
def test_the_part_that_closes_is_free(bench: Any, limit: str, value: float) -> None:
    tight = bench(**{limit: value})
    tight.hold(-5000)
    assert tight.one(100_000).order.qty == 15_000


@pytest.mark.req("RSK-02")
def test_net_exposure_and_currencies_count_what_is_held_the_other_way(bench: Any) -> None:
    net = bench(max_net_exposure=0.1)
    net.hold(-20_000, GBP)
    assert net.one(50_000).order.qty == 31_818  # 35,000 dollars
    pounds = bench(max_currency=0.1)
    pounds.hold(20_000, GBP)
    assert pounds.one(10_000, GBP).code is DenyCode.MAX_CURRENCY
    assert pounds.one(100_000, EUR_GBP).order.qty == 9090  # sells pounds, which helps, but buys euros
    assert pounds.one(1000, YEN).order.qty == 1000


@pytest.mark.req("RSK-02")
def test_the_accounts_own_currency_has_no_limit(bench: Any) -> None:
    assert bench(max_currency=0.11).one(10_000).rule == ""
    assert bench(max_currency=0.11).one(11_001, YEN).order.qty == 11_000  # of yen, not of dollars


@pytest.mark.req("PFL-06")
def test_who_sends_its_own_orders_owns_its_positions(bench: Any) -> None:
    types = {"sma": "crossover", "hand": "manual"}
    tight = bench(max_strategy_type=0.2, strategy_types=types)
    tight.ask(targets=(target(GBP, sma_cross=20_000),))
    tight.hold(8000, GBP, strategy_id="hand_1")  # 10,000 dollars
    tight.hold(8000, GBP)  # 10,000 dollars of crossover
    assert tight.one(5000, strategy_id="hand_2").rule == ""
    assert tight.one(20_000, strategy_id="hand_1").order.qty == 4090  # of 20,000 dollars 5,500 work, 10,000 are held
    assert tight.one(20_000, strategy_id="stranger").order.qty == 18_181


@pytest.mark.req("PFL-06")
def test_positions_that_were_sold_belong_to_nobody(bench: Any) -> None:
    made = bench(max_strategy_type=0.2)
    made.hold(8000, GBP, strategy_id="hand")
    made.hold(-8000, GBP, strategy_id="risk_guardian")
    assert made.state.flow.others == {}
    made.hold(8000, GBP)
    assert made.state.flow.others == {}


@pytest.mark.req("PFL-06")
def test_opinions_against_each_other_both_hold_a_part(bench: Any) -> None:
    made = bench(strategy_types={"sma": "crossover", "ema": "crossover"})
    made.ask(targets=(target(sma_1=300, ema_1=-100, pullback=-100),))
    assert made.state.flow.types[EUR_USD] == {"crossover": Decimal(2) / 3, "pullback": Decimal(1) / 3}
    made.ask(targets=(a(Target, instrument_id=EUR_USD, contributions=()),))
    assert made.state.flow.strategies[EUR_USD] == {}
    assert set(made.state.flow.types[EUR_USD]) == {"crossover", "pullback"}, "what is left is still theirs"


@pytest.mark.req("PFL-06")
def test_correlated_positions_count_together_in_either_direction(bench: Any) -> None:
    tight = bench(max_correlated=0.5)
    tight.after = Measured(alike=(GBP, YEN))
    assert tight.one(50_000).order.qty == 50_000, "alone it has only its own limits"
    tight = bench(max_correlated=0.5)
    tight.after = Measured(alike=(GBP, YEN))
    tight.hold(-20_000, GBP)
    tight.hold(14_000, YEN)
    assert tight.one(20_000).order.qty == 10_000
    tight.hold(1000, YEN)
    assert tight.one(1).code is DenyCode.MAX_CORRELATED
    tight.after = Measured(alike=("GBP-JPY.ECB",))
    assert tight.one(50_000).rule == ""
    assert bench(max_correlated=0.11).one(50_000).rule == "", "where nothing measures, nothing is known"


@pytest.mark.req("RSK-02", "RSK-10")
def test_a_scenario_with_a_limit_of_its_own_cuts_the_order_to_it(bench: Any) -> None:
    for resize in (True, False):
        tight = bench(resize=resize)
        tight.after = Measured(per_unit=0.005, own_limit=0.5)
        assert tight.one(100).rule == ""
        said = tight.one(120)
        if resize:
            assert (said.order.qty, said.rule) == (100, "MAX_STRESS_LOSS: 0.6 over 0.5")
        else:
            assert (said.code, said.observed, said.limit) == (DenyCode.MAX_STRESS_LOSS, Decimal("0.6"), Decimal("0.5"))


@pytest.mark.req("RSK-02", "RSK-03")
@pytest.mark.parametrize("limit", ["max_var_95_1d", "max_es_95_1d", "max_stress_loss", "max_heat"])
def test_an_unknown_measure_passes_unless_it_is_required(bench: Any, limit: str) -> None:
    for after in (None, Measured()):
        free, strict = bench(**{limit: 0.1}), bench(require_var=True, **{limit: 0.1})
        free.after = strict.after = after
        assert isinstance(free.one(), OrderApproved)
        denied = strict.one()
        assert (denied.observed, denied.limit) == (1, Decimal("0.1"))
        strict.hold(5000)
        assert isinstance(strict.one(-5000), OrderApproved)


@pytest.mark.req("RSK-02", "RSK-03")
def test_a_measure_that_falls_again_is_never_believed_between(bench: Any) -> None:
    """Over the limit from 100 to 900 units, within it below and above: what is let through was measured itself."""

    class Hump(Measured):
        def var_95(self, instrument_id: str, signed_qty: Decimal) -> float | None:
            return 0.2 if 100 < abs(signed_qty) < 900 or abs(signed_qty) == 1000 else 0.0

    tight = bench(max_var_95_1d=0.1)
    tight.after = Hump()
    passed = tight.one(1000)
    assert 0 < passed.order.qty <= 100 or 900 <= passed.order.qty < 1000
    tight.after = Measured(per_unit=0.0, base=0.2)
    assert tight.one(1000).code is DenyCode.MAX_VAR


@pytest.mark.req("RSK-02", "RSK-11")
def test_heat_over_its_limit_stops_new_risk(bench: Any) -> None:
    hot = bench(max_heat=0.15)
    hot.after = Measured(heat=0.15)
    assert isinstance(hot.one(), OrderApproved)
    hot.after = Measured(heat=0.16)
    denied = hot.one()
    assert (denied.code, denied.observed, denied.limit) == (DenyCode.MAX_HEAT, Decimal("0.16"), Decimal("0.15"))


@pytest.mark.req("RSK-02")
def test_an_order_is_at_most_a_share_of_the_average_daily_volume(bench: Any) -> None:
    busy = bench(max_volume_share=0.1)
    assert busy.one(100_000).rule == "", "unknown volume is not zero"
    assert bench(max_volume_share=0.1, require_volume=True).one().code is DenyCode.DAILY_VOLUME
    for day, volume in enumerate((1000.0, 3000.0, 9e9)):
        busy.slice(NS_PER_DAY, bars=(a(Bar, volume=volume), a(Bar, volume=5e9, base=False)))
        known = len(busy.state.flow.volumes[EUR_USD].days)
        assert known == day
    assert busy.one(201).order.qty == 200, "mean of the two days that are over"
    assert isinstance(busy.one(200), OrderApproved)


@pytest.mark.req("RSK-02")
def test_volume_is_remembered_for_twenty_days(bench: Any) -> None:
    busy = bench(max_volume_share=0.1)
    for volume in range(1, 40):
        busy.slice(NS_PER_DAY, bars=(a(Bar, volume=float(volume)),))
    assert busy.state.flow.volumes[EUR_USD].days == [float(volume) for volume in range(19, 39)]


@pytest.mark.req("RSK-02")
def test_a_fill_of_the_book_alone_leaves_nothing_to_remember(bench: Any) -> None:
    made = bench()
    made.judge.on_fill(a(OrderFilled, strategy_id="book"), made.state)
    assert made.state.flow.others == {}


@pytest.mark.req("RSK-02")
def test_what_is_denied_says_code_observed_and_limit(bench: Any) -> None:
    denied = bench(max_order_notional=0.5, resize=False).one(50_000)
    assert isinstance(denied, OrderDenied)
    assert (denied.code, denied.observed, denied.limit) == (DenyCode.MAX_NOTIONAL, 55_000, 50_000)


@pytest.mark.req("RSK-03")
@pytest.mark.parametrize("held", [0, -3000])
def test_a_large_cut_is_within_a_part_of_the_largest_quantity_and_asks_few_times(bench: Any, held: int) -> None:
    class Counted(Measured):
        asked = 0

        def var_95(self, instrument_id: str, signed_qty: Decimal) -> float | None:
            self.asked += 1
            return abs(held + float(signed_qty)) / 1e6

    tight = bench(max_var_95_1d=0.0123)
    if held:
        tight.hold(held)
    tight.after = Counted()
    cut = tight.one(50_000).order.qty
    largest = 12_300 - held
    assert largest - 50_000 / 128 - 1 <= cut <= largest
    assert tight.after.asked <= 10
    hopeless = bench(max_var_95_1d=0.0123)
    hopeless.after = Measured(per_unit=0.0, base=0.5)
    assert hopeless.one(50_000).code is DenyCode.MAX_VAR
