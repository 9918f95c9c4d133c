"""The shipped strategies and the user's: tiers, activation, periods, files that cannot be loaded, the page of the docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError
from common.model.enums import Tier, VolState
from signals.features import Sma
from signals.loader import load_file, load_strategies
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
