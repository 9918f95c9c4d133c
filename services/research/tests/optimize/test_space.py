"""A search space is data: what is wrong in it is named before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError
from common.runtime.settings import load as load_profile
from common.runtime.settings import profile_names, section
from portfolio.settings import Settings as Portfolio
from research.optimize.space import Parameter, check, load, present, shipped
from signals.settings import Settings as Signals


def written(folder: Path, text: str) -> Path:
    path = folder / "space.toml"
    path.write_text(text)
    return path


def whole(profile: str) -> dict[str, Any]:
    """The profile with every key of the two sections that spaces change."""
    config = load_profile(profile)
    for name, kind in (("signals", Signals), ("portfolio", Portfolio)):
        config[name] = msgspec.to_builtins(section(config, name, kind))
    return config


@st.composite
def ranges(draw: st.DrawFn) -> Parameter:
    kind = draw(st.sampled_from(["int", "float", "log"]))
    if kind == "int":
        low = draw(st.integers(-1000, 1000))
        step = draw(st.integers(1, 7))
        return Parameter(kind="int", low=low, high=low + step * draw(st.integers(1, 100)), step=step)
    if kind == "float" and draw(st.booleans()):
        thousandths = draw(st.integers(1, 500))
        low, steps = draw(st.integers(-2000, 2000)), draw(st.integers(1, 100))
        return Parameter(kind="float", low=low / 1000, high=(low + steps * thousandths) / 1000, step=thousandths / 1000)
    low = draw(st.floats(1e-6, 100.0))
    return Parameter(kind=kind, low=low, high=low * draw(st.floats(1.01, 1000.0)))  # type: ignore[arg-type]


@pytest.mark.req("RES-05")
@given(ranges(), st.floats(0, 1))
def test_every_place_has_a_value_in_the_range_and_every_value_a_place(parameter: Parameter, at: float) -> None:
    value = parameter.value(at)
    assert parameter.low <= value <= parameter.high  # type: ignore[operator]
    place = parameter.place(value)
    assert place is not None
    assert parameter.value(place) == pytest.approx(value, rel=1e-9)
    assert abs(place - at) <= parameter.grain + 1e-9
    assert parameter.distribution()._contains(parameter.distribution().to_internal_repr(value))


@pytest.mark.req("RES-05")
@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_ships_a_space_that_fits_it(profile: str) -> None:
    config = whole(profile)
    space = load(shipped(profile))
    check(shipped(profile), space, config)
    assert space


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        ("[a", "not valid TOML"),
        ("a = 1", "a = 1: expected a table"),
        ("[a.b]\n", r"\[a\.b\]: empty"),
        ('[a.b]\nkind = "odd"\nlow = 1', r"\[a\.b\].*'odd'"),
        ('[a.b]\nkind = "int"\nlow = 1', r"\[a\.b\].*expected low < high, got low 1.0, high None"),
        ('[a.b]\nkind = "float"\nlow = 2\nhigh = 1', r"\[a\.b\].*expected low < high"),
        ('[a.b]\nkind = "float"\nlow = 0\nhigh = inf', r"\[a\.b\].*expected low < high"),
        ('[a.b]\nkind = "int"\nlow = 1.5\nhigh = 3', r"\[a\.b\].*whole numbers"),
        ('[a.b]\nkind = "int"\nlow = 1\nhigh = 6\nstep = 2', r"\[a\.b\].*step that divides high - low, got 2"),
        ('[a.b]\nkind = "log"\nlow = 0\nhigh = 3', r"\[a\.b\].*low > 0"),
        ('[a.b]\nkind = "choice"\nchoices = [1]', r"\[a\.b\].*at least two different"),
        ('[a.b]\nkind = "choice"\nchoices = [1, 2]\nlow = 1', r"\[a\.b\].*only `choices`"),
        ('[a.b]\nkind = "int"\nlow = 1\nhigh = 2\nhihg = 3', r"\[a\.b\].*hihg"),
    ],
)
def test_a_bad_entry_is_named_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as error:
        load(written(tmp_path, text))
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("portfolio.risk_per_trad", "no such key"),
        ("signals.params.sma_cross.NORMAL.fast", "no such strategy"),
        ("signals.params.sma_cross_20_50.NORMAL.quick", "quick"),
        ("portfolio.risk_per_trade", "expected"),
    ],
)
def test_a_key_or_an_edge_that_the_settings_refuse_is_named(tmp_path: Path, key: str, complaint: str) -> None:
    path = written(tmp_path, f'[{key}]\nkind = "float"\nlow = 5\nhigh = 7000\n')
    config = whole("fx")
    with pytest.raises(ConfigError, match=rf"\[{key}\]: 5.0 is in its range, but: .*{complaint}"):
        check(path, load(path), config)


def test_what_the_configuration_says_now_is_known_where_the_range_has_it() -> None:
    space = {
        "portfolio.risk_per_trade": Parameter(kind="float", low=0.001, high=0.01),
        "portfolio.drift_band": Parameter(kind="float", low=0.5, high=0.9),
        "signals.params.sma_cross_20_50.NORMAL.fast": Parameter(kind="int", low=5, high=30),
        "portfolio.exits.enabled": Parameter(kind="choice", choices=(True, False)),
    }
    config = {
        "portfolio": {"risk_per_trade": 0.002, "drift_band": 0.2, "exits": {"enabled": False}},
        "signals": {"params": {}},
    }
    assert present(space, config) == {
        "portfolio.risk_per_trade": 0.002,
        "signals.params.sma_cross_20_50.NORMAL.fast": 20,
        "portfolio.exits.enabled": False,
    }
