"""The engine that skips slices trades exactly as the plain run: same orders, fills, denials, ladders, equity, and states."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from common.core import Core
from common.messages import EventsScheduled, MarketSlice, Message, OrderDenied, OrderFilled, PortfolioStep
from common.messages.regime import RegimeStep
from common.messages.risk import AlertRaised, RiskMeasured, StressTested
from common.messages.signals import SignalsStep
from common.model.enums import AssetClass, DenyCode
from common.model.instrument import Instrument
from common.model.time import to_datetime
from common.runtime.settings import load
from market_data.source import source
from research.backtest import Operator, backtest, cores
from research.fast import scan
from research.fast.engine import Engine, Stretch, fast
from research.fast.market import load_market
from research.fast.opinions import load_opinions
from research.run import run

SYMBOLS = {"USDJPY": (110.0, 3), "EURGBP": (0.9, 5), "GBPUSD": (1.25, 5)}
MONDAY = 17_168 * 86_400  # 2 January 2017
HALF_HOURS = 1_800

# --- random markets and settings ---------------------------------------------------------------------------------------


class Case(msgspec.Struct, frozen=True):
    """What varies from one run to the next."""

    seed: int
    volatility: float
    days: int
    crypto: bool
    exits: bool
    frames: tuple[str, ...]
    strategies: tuple[str, ...]
    stop: float
    ladders: bool
    rebalance_hours: int
    total_risk: float
    method: str
    resume_after: int | None
    limits: bool
    financing: bool = False
    losses: int = 10


cases = st.builds(
    Case,
    seed=st.integers(0, 10_000),
    volatility=st.sampled_from([0.0003, 0.001, 0.004]),
    days=st.integers(8, 40),
    crypto=st.booleans(),
    exits=st.booleans(),
    frames=st.sampled_from([("30m",), ("1h",), ("4h", "1d"), ("1h", "4h"), ("30m", "1d")]),
    strategies=st.sampled_from([(), ("sma_cross_20_50",), ("macd_signal", "pullback"), ("ma_slope",)]),
    stop=st.sampled_from([0.002, 0.01, 0.03]),
    ladders=st.booleans(),
    rebalance_hours=st.sampled_from([3, 24, 168]),
    total_risk=st.sampled_from([0.0005, 0.002, 0.06]),
    method=st.sampled_from(["worst", "historical", "parametric", "student_t"]),
    resume_after=st.sampled_from([None, 1, 3]),
    limits=st.booleans(),
    financing=st.booleans(),
    losses=st.sampled_from([1, 2, 10]),
)


def write(folder: Path, case: Case) -> Path:
    """Half hours on weekdays, some missing; prices lie on half a tick now and then, as mids do."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(case.seed)
    times = MONDAY + HALF_HOURS * np.arange(case.days * 48)
    times = times[(times // 86_400 + 3) % 7 < 5]
    for name, (start, digits) in SYMBOLS.items():
        here = times[rng.random(times.size) > 0.05]
        swings = np.repeat(rng.normal(0, case.volatility / 4, here.size // 48 + 1), 48)[: here.size]
        moves = rng.normal(0, case.volatility, here.size) * rng.choice([0.2, 1.0, 2.5], here.size) + swings
        closes = np.round(start * np.exp(np.cumsum(moves)) * 2 * 10**digits) / (2 * 10**digits)
        opens = np.concatenate([closes[:1], closes[:-1]])
        spare = closes * case.volatility * rng.random(here.size)
        rows = ["timestamp,open,high,low,close,volume"]
        columns = (here, opens, np.maximum(opens, closes) + spare, np.minimum(opens, closes) - spare, closes)
        for ts, o, h, low, c in zip(*(column.tolist() for column in columns), strict=True):
            stamp = f"{to_datetime(int(ts) * 10**9):%Y-%m-%dT%H:%M:%S}"
            rows.append(f"{stamp},{o!r},{h!r},{low!r},{c!r},{1000 + int(ts) % 77}")
        (folder / f"{name}_M30.csv").write_text("\n".join(rows) + "\n")
    return folder


def config(folder: Path, case: Case) -> dict[str, Any]:
    made = load("crypto" if case.crypto else "fx")
    made["market_data"]["symbols"] = []
    made["signals"]["timeframes"] = list(case.frames)
    made["signals"]["strategies"] = list(case.strategies)
    made["signals"]["normal"] = {"size_factor": 1.0, "confirmations": 1, "stop_fraction": case.stop, "hold_factor": 1.0}
    made["portfolio"]["rebalance_hours"] = case.rebalance_hours
    made["portfolio"]["max_total_risk"] = case.total_risk
    made["portfolio"]["exits"] = {"enabled": case.exits}
    guardian = made["risk_guardian"]
    guardian.setdefault("measures", {})["method"] = case.method
    guardian["streaks"] = {"max_losses": case.losses, "lift_after_days": 4}
    if case.limits:
        guardian["limits"]["session"] = "always"
        guardian["limits"]["max_var_95_1d"] = 0.0
    if case.ladders:
        guardian["ladders"] = {
            "drawdown": [
                {"trigger": 0.002, "release": 0.001, "exposure_factor": 0.75, "stop_factor": 0.5},
                {"trigger": 0.004, "release": 0.003, "state": "REDUCING", "lift_after_days": 1, "exposure_factor": 0.5},
                {"trigger": 0.008, "release": 0.005, "state": "HALTED", "manual": True, "severity": "CRITICAL"},
            ],
            "daily_loss": [{"trigger": 0.001, "release": 0.0005, "state": "REDUCING", "hold_days": 2}],
            "volatility": [{"trigger": 1.1, "release": 1.05, "exposure_factor": 0.7, "min_confidence": 0.3}],
            "var": [{"trigger": 0.002, "release": 0.0015, "exposure_factor": 0.75}],
            "correlation": [{"trigger": 0.4, "release": 0.3, "exposure_factor": 0.5, "hold_days": 1}],
        }
        guardian["measures"].update({"window": 100, "min_observations": 20, "short_window": 5, "normal_window": 30})
    made.setdefault("execution", {})["financing"] = {"enabled": case.financing}
    made["run"] = {"data": str(folder)}
    return made


# --- what is compared ----------------------------------------------------------------------------------------------------


def is_report(message: Message) -> bool:
    """Said for people, which the fast run leaves out; and the readings, of which the fast run tells only those that somebody needs."""
    if isinstance(message, AlertRaised):
        return message.alert_id.startswith(("stress-", "var-backtest"))
    return isinstance(message, RiskMeasured | StressTested | RegimeStep)


def states(of: Mapping[str, Core]) -> dict[str, Any]:
    """Everything remembered, but for when reports were said last and what follows from those."""
    guardian = msgspec.structs.asdict(of["risk_guardian"].state)
    alerts = guardian.pop("alerts")
    del guardian["schedule"]
    guardian["standing"] = {k: v for k, v in alerts.standing.items() if not k.startswith(("stress-", "var-backtest"))}
    portfolio = msgspec.structs.asdict(of["portfolio"].state)
    portfolio["watch"] = portfolio["watch"].closes
    execution = of["execution"].state
    return {"risk_guardian": guardian, "portfolio": portfolio, "execution": execution}


def both(made: dict[str, Any], resume_after: int | None) -> tuple[list[Message], list[Message | Stretch]]:
    """Messages of the plain run and of the other, states compared."""
    plain_cores, fast_cores = cores(made), cores(made)
    plain = list(backtest(made, resume_after_days=resume_after, of=plain_cores))
    market = load_market(made)
    assert market is not None
    views = load_opinions(made, market)
    assert views is not None
    said = list(Engine(made, market, views, fast_cores, Operator(resume_after)).run())
    ours, theirs = states(fast_cores), states(plain_cores)
    for name, state in theirs.items():
        assert msgspec.json.encode(msgspec.to_builtins(ours[name], enc_hook=_plain)) == msgspec.json.encode(
            msgspec.to_builtins(state, enc_hook=_plain)
        ), name
    return plain, said


def _plain(value: Any) -> Any:
    return [repr(one) for one in value.ravel().tolist()] if isinstance(value, np.ndarray) else repr(value)


@pytest.mark.req("RES-01", "RES-02")
@settings(
    max_examples=8,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(case=cases)
def test_a_run_that_skips_slices_says_of_the_others_what_the_plain_run_says(
    case: Case, tmp_path_factory: pytest.TempPathFactory
) -> None:
    agree(case, tmp_path_factory)


def agree(case: Case, tmp_path_factory: pytest.TempPathFactory) -> None:
    made = config(write(tmp_path_factory.mktemp("market") / "data", case), case)
    plain, said = both(made, case.resume_after)
    messages = [message for message in said if not isinstance(message, Stretch)]
    handled = {message.step for message in messages if isinstance(message, MarketSlice)}
    expected = [
        message for message in plain if getattr(message, "step", None) in handled or not hasattr(message, "step")
    ]
    assert [one for one in messages if not is_report(one)] == [one for one in expected if not is_report(one)]
    curve = {message.step: message.equity for message in plain if isinstance(message, PortfolioStep)}
    assert {m.step: m.equity for m in messages if isinstance(m, PortfolioStep)}.items() <= curve.items()
    skipped = [message for message in plain if getattr(message, "step", 0) not in {0, *handled}]
    assert not [m for m in skipped if isinstance(m, PortfolioStep) and (m.orders or m.targets)]
    assert sum(one.slices for one in said if isinstance(one, Stretch)) + len(handled) == len(curve)


CALM = Case(7, 0.0005, 60, False, False, ("4h", "1d"), (), 0.01, True, 24, 0.06, "worst", 1, True)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return config(write(tmp_path_factory.mktemp("calm") / "data", CALM), CALM)


@pytest.mark.req("RES-01", "RES-02")
def test_both_engines_amount_to_the_same(calm: dict[str, Any]) -> None:
    plain, quick = run(calm, plain=True, resume_after_days=1), run(calm, resume_after_days=1)
    assert (plain.engine, quick.engine) == ("plain", "fast")
    assert quick.result() == plain.result()
    assert quick.metrics() == plain.metrics()
    assert [each.tolist() for each in quick.daily()] == [each.tolist() for each in plain.daily()]
    assert plain.result()["fills"] > 20
    assert quick.handled < 0.3 * plain.handled


@pytest.mark.req("RES-02")
def test_watchers_see_every_fill_and_the_end_of_every_day(calm: dict[str, Any]) -> None:
    seen: list[Message] = []
    plain: list[Message] = []
    run(calm, watchers=[seen.append])
    run(calm, watchers=[plain.append], plain=True)
    fills = [message for message in plain if isinstance(message, OrderFilled)]
    assert [message for message in seen if isinstance(message, OrderFilled)] == fills
    last = {(m.ts_event - 1) // (86_400 * 10**9): m for m in plain if isinstance(m, PortfolioStep)}
    assert {m.step for m in last.values()} <= {m.step for m in seen if isinstance(m, PortfolioStep)}


@pytest.mark.req("RES-01", "RSK-07")
def test_signals_of_a_paused_strategy_are_passed_over_and_heard_all_the_same(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    case = msgspec.structs.replace(CALM, frames=("30m",), strategies=("sma_cross_20_50", "macd_signal"), losses=1)
    made = config(write(tmp_path_factory.mktemp("paused") / "data", case), case)
    plain, said = both(made, case.resume_after)
    passed = sum(one.signals for one in said if isinstance(one, Stretch))
    heard = sum(len(one.signals) for one in said if isinstance(one, SignalsStep))
    assert passed > 100
    assert passed + heard == sum(len(one.signals) for one in plain if isinstance(one, SignalsStep))


@pytest.mark.req("RES-01", "REG-12")
def test_around_economic_events_both_engines_deny_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("events")
    case = msgspec.structs.replace(CALM, frames=("30m", "4h"), strategies=("sma_cross_20_50", "macd_signal"))
    made = config(write(folder / "data", case), case)
    rows = ["timestamp,currency,impact,event"]
    for hour in range(0, 24 * case.days, 11):
        stamp = f"{to_datetime((MONDAY + hour * 3600 + 600) * 10**9):%Y-%m-%dT%H:%M:%S}"
        rows.append(f"{stamp},{('USD', 'EUR', 'CHF')[hour % 3]},{('high', 'medium')[hour % 2]},event {hour}")
    (folder / "calendar.csv").write_text("\n".join(rows) + "\n")
    made["market_data"]["economic_calendar"] = str(folder / "calendar.csv")
    made["risk_guardian"]["events"] = {"before_minutes": 60, "after_minutes": 120, "min_impact": "MEDIUM"}
    plain, said = both(made, case.resume_after)
    assert [m for m in said if isinstance(m, EventsScheduled)] == [m for m in plain if isinstance(m, EventsScheduled)]
    denied = [m for m in plain if isinstance(m, OrderDenied)]
    assert [m for m in said if isinstance(m, OrderDenied)] == denied
    assert len([m for m in denied if m.code is DenyCode.EVENT_BLACKOUT]) > 5
    assert [m for m in said if isinstance(m, OrderFilled)] == [m for m in plain if isinstance(m, OrderFilled)]
    market = load_market(made)
    assert market is not None
    assert list(market.messages()) == list(source(made).messages())


def test_execution_algorithms_are_left_to_the_plain_run(calm: dict[str, Any]) -> None:
    assert fast({**calm, "execution": {"algorithms": {"enabled": True}}}) is None


# --- arithmetic ------------------------------------------------------------------------------------------------------------


@given(
    value=st.floats(1e-4, 1e6, allow_nan=False),
    digits=st.integers(0, 8),
    halves=st.integers(1, 10**7),
    exact=st.booleans(),
)
@settings(max_examples=500)
def test_prices_are_rounded_as_money_rounds_them(value: float, digits: int, halves: int, exact: bool) -> None:
    instrument = Instrument(
        instrument_id="A-USD.X",
        asset_class=AssetClass.FX,
        base="A",
        quote="USD",
        price_increment=Decimal(1).scaleb(-digits),
        qty_increment=Decimal(1),
        half_spread=Decimal(0),
    )
    px = float(Decimal(halves).scaleb(-digits) / 2) if exact else value
    assert scan.rounded(px, 10.0**digits) == float(instrument.round_price(px))


@given(st.lists(st.floats(90.0, 110.0), min_size=1, max_size=40), st.floats(95.0, 115.0))
def test_turning_points_hold_the_extremes_and_the_worst_drawdown(curve: list[float], peak: float) -> None:
    equity, out = np.array(curve), np.zeros(len(curve), dtype=np.int64)
    found = out[: scan.turning_points(equity, 0, len(curve), 0.0, peak, 0.0, out)].tolist()

    def worst(values: list[float]) -> float:
        tops = np.maximum.accumulate([peak, *values])[1:]
        return max(0.0, float(np.max((tops - values) / tops)))

    kept = [curve[index] for index in found]
    assert found == sorted(set(found))
    assert (max(kept), min(kept)) == (max(curve), min(curve))
    assert worst(kept) == worst(curve)
