"""Holes that the strongest rival is known for, each closed here (issue 3): reducing never opens or flips, a halt lets the
guardian's exits through and nothing else, unknown is no, and nothing switches the checks off. Execution's twin has the same name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from common.errors import ConfigError
from common.messages import AmendOrder, HaltTrading, OrderApproved, OrderDenied, ProposeOrders
from common.messages.market_data import Bar, Quote
from common.model.account import Account
from common.model.enums import DenyCode, OrderType, TradingState
from common.model.instrument import Instrument
from common.model.time import NS_PER_HOUR
from common.runtime.settings import LARGEST, load, profile_names, section
from common.testing.builders import EUR_USD, a
from risk_guardian import checks
from risk_guardian.core import RiskGuardian
from risk_guardian.limits import Limits
from risk_guardian.policy import METRICS, Level
from risk_guardian.settings import Settings

ACTIVE, REDUCING, HALTED = TradingState
LIMIT = OrderType.LIMIT

lots = st.integers(1, 50_000)
signs = st.sampled_from([1, -1])


def refused(verdict: Any) -> tuple[Any, ...]:
    return verdict.code, verdict.observed, verdict.limit


# --- reducing ------------------------------------------------------------------------------------------------------------


@pytest.mark.req("RSK-02", "RSK-04")
@pytest.mark.parametrize(
    ("held", "working", "signed_qty", "passes"),
    [
        (0, 0, 1, False),
        (5000, 0, 1, False),
        (5000, 0, -5000, True),
        (5000, 0, -5001, False),
        (-5000, 0, 5000, True),
        (5000, -3000, -2000, True),
        (5000, -3000, -2001, False),  # both may trade
        (0, 5000, -5000, False),  # the purchase may not trade
    ],
)
def test_reducing_lets_through_what_shrinks_a_position_and_nothing_that_opens_grows_or_flips_one(
    guard: Any, held: int, working: int, signed_qty: int, passes: bool
) -> None:
    guardian = guard()
    if held:
        guardian.hold(held)
    if working:
        guardian.judge(working)
    guardian.core.state.trading = TradingState.REDUCING
    said = guardian.judge(signed_qty)
    if passes:
        assert said.order.qty == abs(signed_qty)
    else:
        assert said.code is DenyCode.WOULD_INCREASE
        assert said.observed == signed_qty


@pytest.mark.req("RSK-02", "RSK-08")
@given(st.integers(-5000, 5000), st.lists(st.integers(-9000, 9000), max_size=4), st.booleans())
def test_while_reducing_no_orders_together_open_or_flip_a_position(
    bench: Any, held: int, wanted: list[int], reduce_only: bool
) -> None:
    made = bench()
    if held:
        made.hold(held)
    made.state.trading = TradingState.REDUCING
    said = made.ask(*(made.order(qty, reduce_only=reduce_only) for qty in wanted if qty))
    passed = [int(each.order.signed_qty) for each in said if isinstance(each, OrderApproved)]
    assert all(qty * held < 0 for qty in passed)
    assert abs(sum(passed)) <= abs(held)
    assert {each.code for each in said if isinstance(each, OrderDenied)} <= {DenyCode.WOULD_INCREASE}


@pytest.mark.req("RSK-02", "RSK-08")
def test_an_exit_that_rests_while_reducing_cannot_flip_what_the_guardian_shrinks_under_it(
    guard: Any, wide: Any
) -> None:
    """It is approved as reduce-only whatever it said, so that the venue never lets it pass zero."""
    daily = (Level(trigger=0.01, release=0.005, state=REDUCING),)
    cut = (Level(trigger=0.02, release=0.01, exposure_factor=0.25),)
    guardian = guard(**wide, ladder=cut, ladders={"daily_loss": daily})
    guardian.hold(50_000)
    guardian.hour(eur=1.075)
    exit_ = guardian.judge(-50_000, order_type=LIMIT, limit_px=Decimal("1.08"))
    assert (exit_.order.reduce_only, exit_.rule, exit_.resized_from) == (True, "REDUCING: reduce-only", None)
    said = [each for each in guardian.hour(eur=1.05) if isinstance(each, OrderApproved)]
    assert [(each.order.qty, each.order.reduce_only) for each in said] == [(37_500, True)]


@pytest.mark.req("RSK-02", "RSK-08")
@given(st.integers(-5000, 5000), lots, signs, st.sampled_from(OrderType))
def test_while_reducing_a_proposal_by_hand_opens_nothing_either(
    bench: Any, held: int, qty: int, sign: int, kind: OrderType
) -> None:
    made = bench()
    if held:
        made.hold(held)
    made.state.trading = REDUCING
    px = Decimal("1.1")
    order = made.order(sign * qty, order_type=kind, limit_px=px, stop_px=px)
    (said,) = made.judge.judge_proposed(a(ProposeOrders, orders=(order,)), made.state, made.now())
    assert isinstance(said, OrderApproved) == (sign * held < 0 and qty <= abs(held))


# --- halted ----------------------------------------------------------------------------------------------------------------


@pytest.mark.req("RSK-09")
def test_the_guardians_own_reduction_passes_while_halted(guard: Any) -> None:
    levels = (
        Level(trigger=0.05, release=0.04, state=HALTED, manual=True),
        Level(trigger=0.1, release=0.08, exposure_factor=0.0, state=HALTED, manual=True),
    )
    guardian = guard(ladder=levels)
    guardian.hold(100_000)
    (_, state) = guardian.hour(eur=1.04)
    assert state.state is HALTED
    *_, exit_ = guardian.hour(eur=0.99)
    assert (exit_.order.qty, exit_.order.reduce_only) == (100_000, True)


@pytest.mark.req("RSK-09")
@pytest.mark.parametrize("reduce_only", [True, False])
@pytest.mark.parametrize("strategy_id", ["book", "manual", "risk_guardian"])
def test_nobody_else_gets_out_while_halted_nor_in_the_guardians_name(
    guard: Any, strategy_id: str, reduce_only: bool
) -> None:
    guardian = guard()
    guardian.hold(5000)
    order = guardian.judge(-1000, order_type=LIMIT, limit_px=Decimal("1.11")).order
    guardian.halt()
    mine = guardian.order(-100, strategy_id=strategy_id, reduce_only=reduce_only)
    verdict, _ = guardian.propose(mine)
    assert verdict.code is DenyCode.TRADING_HALTED
    (by_hand,) = guardian.tell(a(ProposeOrders, orders=(mine,)))
    assert by_hand.code is DenyCode.TRADING_HALTED
    amended = a(AmendOrder, client_order_id=order.client_order_id, qty=Decimal(900), limit_px=None, stop_px=None)
    assert guardian.tell(amended)[0].code is DenyCode.TRADING_HALTED


# --- unknown, missing, stale --------------------------------------------------------------------------------------------------


@pytest.mark.req("RSK-02")
@given(
    st.sampled_from(["account", "price", "stale", "quote", "equity", "rate"]),
    st.sampled_from([0, 4000, -4000]),
    st.integers(5000, 90_000),
    signs,
    st.booleans(),
)
def test_what_is_unknown_missing_or_stale_is_never_waved_through(
    bench: Any, defect: str, held: int, qty: int, sign: int, resize: bool
) -> None:
    made = bench(resize=resize)
    if held:
        made.hold(held)
    made.slice(quotes=(a(Quote),))
    state, changes = made.state, {"name": EUR_USD}
    match defect:
        case "account":
            changes["account"] = "somebody"
        case "price":
            del state.last_px[EUR_USD]
        case "stale":
            state.last_px_ns[EUR_USD] -= 10**15
        case "quote":
            state.flow.quoted_ns[EUR_USD] -= 10**15
        case "equity":
            state.equity = None
        case _:
            del state.last_px["GBP-USD.ECB"]
            changes = {"name": "EUR-GBP.ECB", "ref_px": Decimal("0.88")}
    said = made.one(sign * qty, **changes)
    assert isinstance(said, OrderDenied)
    assert said.code in (
        DenyCode.UNKNOWN_ACCOUNT,
        DenyCode.NO_PRICE,
        DenyCode.STALE_PRICE,
        DenyCode.NO_QUOTE,
        DenyCode.NO_EQUITY,
    )


@pytest.mark.req("RSK-02")
def test_a_market_order_needs_a_quote_where_there_are_quotes(bench: Any) -> None:
    made = bench(stale_after_bars=2)
    made.hold(5000)
    assert isinstance(made.one(), OrderApproved), "this data has none"
    assert refused(bench(require_quote=True).one()) == (DenyCode.NO_QUOTE, 0, 0)
    made.slice(quotes=(a(Quote),))
    made.slice(2 * NS_PER_HOUR)
    assert isinstance(made.one(), OrderApproved)
    made.slice(1)
    assert made.one().code is DenyCode.NO_QUOTE
    assert isinstance(made.one(order_type=LIMIT, limit_px=Decimal("1.09")), OrderApproved)
    assert isinstance(made.one(-5000), OrderApproved)
    made.slice(bars=(a(Bar, spread_close=0.0001),))
    assert isinstance(made.one(), OrderApproved)


# --- switched off? -----------------------------------------------------------------------------------------------------------


@pytest.mark.req("RSK-02")
def test_no_setting_empties_the_checks(bench: Any) -> None:
    """Whatever a switch or a limit is set to, what must hold of every order does."""
    assert len(checks.CHECKS) == len(set(checks.CHECKS)) == 46
    zero = {
        name: 0
        for name in Limits.__struct_fields__
        if name.startswith(("max_", "duplicate")) and name not in POSITIVE and name not in WHOLE
    }
    loose = {**dict.fromkeys(POSITIVE, 1e9), **dict.fromkeys(WHOLE, 10**9), **zero, "price_collar": 1.0}
    made = bench(**loose, require_volume=False, require_var=False, require_quote=False, resize=False)
    assert isinstance(made.one(), OrderApproved)
    for wrong in ({"account": "x"}, {"name": "X-Y.Z"}, {"qty": Decimal("0.5")}, {"order_type": LIMIT}):
        assert not isinstance(made.one(**wrong), OrderApproved)
    made.state.last_px.clear()
    assert made.one().code is DenyCode.NO_PRICE
    made.state.equity = None
    made.price(**{EUR_USD: "1.1"})
    assert made.one().code is DenyCode.NO_EQUITY


POSITIVE = (
    "max_order_qty",
    "max_order_notional",
    "max_position",
    "max_gross_exposure",
    "max_net_exposure",
    "max_leverage",
    "stale_after_bars",
    "notional_per_minute",
)
WHOLE = (
    "max_open_orders",
    "max_repeats",
    "orders_per_minute",
    "strategy_orders_per_minute",
    "cancels_per_minute",
    "strategy_cancels_per_minute",
)


def settings_of(kind: type, *path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every value at the end of what a setting allows, alone in a configuration that is otherwise the default."""
    for field in inspect.type_info(kind).fields:
        found = field.type.type if isinstance(field.type, inspect.Metadata) else field.type
        here = (*path, field.encode_name)
        if isinstance(found, inspect.StructType):
            yield from settings_of(found.cls, *here)
            continue
        for value in ends(found):
            nested: Any = value
            for key in reversed(here):
                nested = {key: nested}
            yield f"{'.'.join(here)}={value}", nested


def ends(kind: inspect.Type) -> list[Any]:
    match kind:
        case inspect.BoolType():
            return [True, False]
        case inspect.IntType():
            return [kind.ge or 0, kind.le or 10**9]
        case inspect.FloatType():
            low = kind.ge if kind.ge is not None else (kind.gt or 0) + 1e-9
            return [float(low), kind.le or (kind.lt - 1e-9 if kind.lt else LARGEST)]
        case inspect.EnumType():
            return [each.value for each in kind.cls]
        case inspect.VarTupleType():
            return [[]]
        case inspect.DictType():
            return [{}]
        case inspect.StrType():
            return [""]
    raise AssertionError(f"what are the ends of {kind}?")


ENDS: Final = dict(settings_of(Settings))
WIDEST: Final = {  # the last end of every limit, and no ladder
    "limits": {name: value for given in ENDS.values() for name, value in given.get("limits", {}).items()},
    "ladders": {name: [] for name in METRICS},
}
REFUSED: Final = {
    "measures.window=100": "measures: expected a window",  # windows that do not fit the others
    "measures.normal_window=1900": "measures: expected a window",
    "windows.zone=": "windows: expected `zone`",
}


def assert_closed(guard: Any, configuration: dict[str, Any]) -> None:
    """What must be refused is refused, with the settings that a process makes of this configuration."""
    made = guard()
    settings = section({"risk_guardian": configuration}, "risk_guardian", Settings)
    made.core = RiskGuardian(settings, Account())
    made.define(a(Instrument))
    assert made.judge(100, ref_px=Decimal(1)).code in (DenyCode.NO_PRICE, DenyCode.CLOCK_JUMP, DenyCode.MARKET_CLOSED)
    made.hour(eur=1.1)
    wrong: dict[DenyCode, dict[str, Any]] = {
        DenyCode.UNKNOWN_ACCOUNT: {"account": "somebody"},
        DenyCode.UNKNOWN_INSTRUMENT: {"instrument_id": "XXX-USD.ECB"},
        DenyCode.QTY_INVALID: {"qty": Decimal("NaN")},
        DenyCode.NO_PRICE: {"order_type": LIMIT},
        DenyCode.UNKNOWN_ORDER: {"parent_id": "nobody", "reduce_only": True},
    }
    for code, changes in wrong.items():
        assert made.judge(100, **changes).code is code
    state = made.core.state
    state.equity = None
    assert isinstance(made.judge(100), OrderDenied)
    made.hour(eur=1.1)
    made.hold(1000)
    state.trading = REDUCING
    for qty in (100, -1100):
        assert made.judge(qty).code is DenyCode.WOULD_INCREASE
    made.tell(a(HaltTrading, flatten=False))
    assert made.judge(-1000, reduce_only=True).code is DenyCode.TRADING_HALTED


@pytest.mark.req("RSK-02", "PLT-07")
@pytest.mark.parametrize("label", ENDS)
def test_no_single_setting_at_either_end_opens_a_hole(guard: Any, label: str) -> None:
    """Or it is refused by its name; there is no third way."""
    if label in REFUSED:
        with pytest.raises(ConfigError, match=rf"^risk_guardian\.{REFUSED[label]}"):
            section({"risk_guardian": ENDS[label]}, "risk_guardian", Settings)
    else:
        assert_closed(guard, ENDS[label])


@pytest.mark.req("RSK-02", "PLT-07")
def test_all_limits_at_their_widest_and_no_ladder_at_all_open_no_hole(guard: Any) -> None:
    assert_closed(guard, WIDEST)


@pytest.mark.req("RSK-02", "PLT-07")
@pytest.mark.parametrize("profile", [*profile_names(), "nothing"])
def test_no_profile_that_ships_nor_an_empty_one_opens_a_hole(guard: Any, profile: str) -> None:
    """Limits that a file leaves out are the defaults: no size is ever without one."""
    configuration = {} if profile == "nothing" else load(profile)["risk_guardian"]
    assert_closed(guard, configuration)
    limits = section({"risk_guardian": configuration}, "risk_guardian", Settings).limits
    bounded = ("max_order_qty", "max_order_notional", "max_position", "max_gross_exposure", "max_net_exposure")
    assert all(0 < getattr(limits, name) <= 1e9 for name in (*bounded, "max_leverage", "notional_per_minute"))


@pytest.mark.req("RSK-02", "PLT-07")
@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e300])
@pytest.mark.parametrize("name", [f.encode_name for f in msgspec.structs.fields(Limits) if f.type is not bool])
def test_a_limit_is_a_finite_number(name: str, value: float) -> None:
    """TOML can write `inf`, and that would be no limit at all."""
    with pytest.raises(
        ConfigError, match=rf"risk_guardian\.limits\.{name} = (inf|nan|1e\+300): expected a finite number"
    ):
        section({"risk_guardian": {"limits": {name: value}}}, "risk_guardian", Settings)


@pytest.mark.req("RSK-02")
def test_the_tables_of_checks_can_be_changed_by_nobody() -> None:
    assert all(isinstance(table, tuple) for table in (checks.CHECKS, checks.OF_EVERY_ORDER, checks.OF_NEW_RISK))
    assert (*checks.OF_EVERY_ORDER, *checks.OF_NEW_RISK) == checks.CHECKS


# --- ways around -------------------------------------------------------------------------------------------------------------

ROOT: Final = Path(__file__).parents[3]
SOURCES: Final = tuple(
    path for part in ("libs", "services", "cli") for path in sorted((ROOT / part).rglob("src/**/*.py"))
)


def names_called(path: Path) -> set[str]:
    calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return {
        call.id if isinstance(call, ast.Name) else call.attr
        for call in calls
        if isinstance(call, ast.Name | ast.Attribute)
    }


@pytest.mark.req("RSK-01", "RSK-02")
@pytest.mark.parametrize("approval", ["OrderApproved", "AmendApproved"])
def test_only_the_guardian_says_approved(approval: str) -> None:
    """But for the examples of the tests, and for measurements in one process with neither tape nor venue."""
    makers = {path.relative_to(ROOT).as_posix() for path in SOURCES if approval in names_called(path)}
    measurements = {f"services/research/src/research/{name}.py" for name in ("resilience", "execution_costs")}
    others = makers - measurements - {"libs/common/src/common/testing/builders.py"}
    assert {Path(maker).parts[1] for maker in others} == {"risk_guardian"}


@pytest.mark.req("RSK-01", "RSK-02")
def test_what_happens_without_the_guardian_is_measured_in_one_place_that_trades_nowhere() -> None:
    users = {
        path.relative_to(ROOT).as_posix() for path in SOURCES if re.search(r"guarded=(?!True\b)", path.read_text())
    }
    assert users <= {
        "services/research/src/research/resilience.py",
        "cli/src/ballast_cli/resilience.py",
        "cli/src/ballast_cli/risk_bench.py",
    }


@pytest.mark.req("RSK-01", "RSK-02")
def test_no_variable_of_the_environment_changes_what_the_guardian_decides() -> None:
    package = ROOT / "services" / "risk_guardian" / "src"
    readers = {path.name for path in package.rglob("*.py") if "environ" in path.read_text()}
    assert readers <= {"shell.py", "__main__.py"}, "the home with the stop file, and nothing else"
