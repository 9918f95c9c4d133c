"""The shipped strategies and the user's: tiers, activation, periods, files that cannot be loaded, the page of the docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.errors import ConfigError
from common.messages.market_data import Bar
from common.model.enums import Direction, Tier, VolState
from common.model.time import Timeframe
from signals.features import Sma
from signals.loader import load_file, load_strategies, with_params
from signals.rules import MEDIUM, SLOW
from signals.settings import Settings

DOCS = Path(__file__).parents[3] / "docs" / "adding-a-strategy.md"
SHIPPED = {strategy.id: strategy for strategy in load_strategies(Settings())}

GOOD = """
from signals.api import *
strategy = Strategy(
    id="mine", tier=Tier.TACTICAL, params={VolState.NORMAL: {"n": 3}}, hold_bars=5,
    features=lambda p: {"mean": Sma(p["n"])},
    decide=lambda ctx: by_sign(ctx.bar.close - ctx.now["mean"], full=1.0, reason="mine"),
)
"""


@pytest.mark.req("SIG-02")
def test_ten_strategies_ship_in_three_tiers() -> None:
    tiers = [strategy.tier for strategy in SHIPPED.values()]
    assert [tiers.count(tier) for tier in (Tier.CORE, Tier.GROWTH, Tier.TACTICAL)] == [4, 3, 3]
    assert tiers == sorted(tiers, key=list(Tier).index)


@pytest.mark.req("SIG-03")
def test_all_ten_trade_in_normal_six_in_elevated_three_under_stress() -> None:
    active = {state: [s.id for s in SHIPPED.values() if state in s.params] for state in VolState}
    assert {state: len(ids) for state, ids in active.items()} == {"NORMAL": 10, "ELEVATED": 6, "STRESS": 3}
    assert set(active[VolState.STRESS]) < set(active[VolState.ELEVATED]) < set(active[VolState.NORMAL])


@pytest.mark.req("SIG-03", "SIG-04")
def test_sizes_stops_confirmations_and_holding_times_are_those_of_the_specification() -> None:
    conditions = [Settings().condition(state) for state in VolState]
    assert [c.size_factor for c in conditions] == [1.0, 0.75, 0.4]
    assert [c.stop_fraction for c in conditions] == [0.02, 0.015, 0.03]
    assert [c.confirmations for c in conditions] == [1, 2, 3]
    assert [c.hold_factor for c in conditions] == [1.0, 0.5, 2.0]


@pytest.mark.req("SIG-04")
def test_periods_shorten_when_volatile_and_lengthen_under_stress() -> None:
    assert [tuple(MEDIUM[state].values()) for state in VolState] == [(20, 50), (10, 25), (50, 100)]
    assert [tuple(SLOW[state].values()) for state in VolState] == [(50, 200), (25, 100), (100, 300)]
    crossing = SHIPPED["sma_cross_50_200"]
    assert crossing.features(crossing.params[VolState.STRESS])["slow"] == Sma(300)


@pytest.mark.req("SIG-01")
def test_a_users_file_in_a_folder_is_a_strategy(tmp_path: Path, run: Any, walk: Any) -> None:
    (tmp_path / "mine.py").write_text(GOOD)
    (tmp_path / "_helpers.py").write_text("this is no Python")
    settings = Settings(strategy_folder=str(tmp_path), strategies=("mine", "ma_slope"))
    assert [strategy.id for strategy in load_strategies(settings)] == ["ma_slope", "mine"]
    signals = [signal for step in run(walk(30), settings=settings) for signal in step.signals]
    assert {signal.strategy_id for signal in signals} == {"mine"}


@pytest.mark.req("SIG-01")
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("strategy = ", "other = "), r"mine\.py: strategy = None: expected `strategy = Strategy"),
        (("tier=Tier.TACTICAL, ", ""), r"mine\.py:3: TypeError: Missing required argument 'tier'"),
        (("Tier.TACTICAL", "'tactical'"), r"mine\.py:3: ValueError: tier = 'tactical': expected a Tier"),
        (('"mine", tier', '"my own", tier'), r"mine\.py:3: ValueError: id = 'my own': expected letters"),
        (("Sma(p", "(p"), r"mine\.py:3: ValueError: features in NORMAL: expected"),
        (('"n": 3', '"n": 2.5'), r"mine\.py:5: ValueError: Sma: period 2\.5: expected a whole number"),
        (('p["n"]', 'p["m"]'), r"mine\.py:5: KeyError: 'm'"),
        (("hold_bars=5", "hold_bars=0"), r"mine\.py:3: ValueError: hold_bars = 0: expected"),
        (("hold_bars=5", "hold_bars="), r"mine\.py:\d: SyntaxError"),
        (("from signals.api", "from nowhere"), r"mine\.py:2: ModuleNotFoundError: No module named 'nowhere'"),
        (('"mine", tier', '"ma_slope", tier'), r"mine\.py: id = 'ma_slope' is already taken by .*ma_slope\.py"),
    ],
)
def test_a_file_that_is_no_strategy_is_refused_naming_file_line_and_expectation(
    tmp_path: Path, change: tuple[str, str], complaint: str
) -> None:
    assert change[0] in GOOD
    (tmp_path / "mine.py").write_text(GOOD.replace(*change))
    with pytest.raises(ConfigError, match=complaint):
        load_strategies(Settings(strategy_folder=str(tmp_path)))


@pytest.mark.req("SIG-01")
def test_a_missing_folder_or_an_unknown_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"signals\.strategy_folder = .*absent'.*expected a folder"):
        load_strategies(Settings(strategy_folder=str(tmp_path / "absent")))
    with pytest.raises(
        ConfigError, match=r"signals\.strategies: 'nobody' does not exist; expected some of .*ema_cross"
    ):
        load_strategies(Settings(strategies=("nobody",)))


@pytest.mark.req("SIG-01")
def test_the_example_of_the_documentation_runs_as_it_stands(tmp_path: Path, run: Any, walk: Any) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (tmp_path / "example.py").write_text(example)
    strategy = load_file(tmp_path / "example.py")
    settings = Settings(strategy_folder=str(tmp_path), strategies=(strategy.id,))
    said = {signal.direction for step in run(walk(1_000), settings=settings) for signal in step.signals}
    assert said == {"LONG", "SHORT", "FLAT"}


# --- markets that stand still --------------------------------------------------------------------------------------------

OPTIONAL = load_strategies(Settings(strategies=("breakout_adaptive",)))
STILL = (
    *SHIPPED.values(),
    *(
        msgspec.structs.replace(
            with_params(one, {state: {"days": 1, "hours": 2} for state in one.params}), timeframes=None
        )
        for one in OPTIONAL
    ),
)


def at(px: float) -> Bar:
    """A daily bar without any span."""
    return Bar(instrument_id="A.SIM", timeframe=Timeframe.D1, open=px, high=px, low=px, close=px)


@pytest.mark.req("SIG-02", "SIG-06")
@pytest.mark.parametrize("px", [1.1, 0.9998, 3.3e-8, 64_123.17, 1.1e9])
def test_nobody_trades_on_the_rounding_of_averages_of_equal_prices(px: float, run: Any) -> None:
    for state in VolState:
        steps = run([at(px)] * 700, [state] * 700, strategies=STILL)
        assert [signal for step in steps for signal in step.signals] == []


@pytest.mark.req("SIG-02", "SIG-06")
@pytest.mark.parametrize("px", [1.1, 3.3e-8, 64_123.17])
def test_nor_when_a_market_that_moved_stands_still_until_its_true_range_is_rounding_too(
    px: float, run: Any, walk: Any
) -> None:
    moved = [one.close for one in walk(400)]
    bars = [at(close / moved[-1] * px) for close in moved] + [at(px)] * 1_500
    late = [signal for step in run(bars, strategies=STILL)[1_000:] for signal in step.signals]
    assert {signal.direction for signal in late} <= {Direction.FLAT}


@pytest.mark.req("SIG-02", "SIG-06")
@pytest.mark.parametrize("name", ["envelope_breakout", "breakout_adaptive"])
@pytest.mark.parametrize("px", [1.0, 3.3e-8, 64_123.17])
def test_a_stop_is_never_so_near_that_the_size_it_allows_is_without_bounds(name: str, px: float, run: Any) -> None:
    """A market at rest moves by one tick: two ATR are then a fraction of that tick."""
    strategy = next(one for one in STILL if one.id == name)
    bars = [at(px * (1.0 + 1e-3 * (i % 2))) for i in range(50)] + [at(px)] * 700 + [at(px * 1.0001)]
    (signal,) = run(bars, strategies=[strategy])[-1].signals
    assert signal.direction is Direction.LONG
    assert signal.stop_fraction == 0.0005
