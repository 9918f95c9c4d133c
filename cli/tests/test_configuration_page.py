"""docs/configuration.md: its styles are valid files, its reference is complete and up to date."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from functools import reduce
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ballast_cli.configuration import SECTIONS, effective
from common.runtime.settings import profile_names

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/configuration.md").read_text()
STYLES = dict(
    zip(("conservative", "balanced", "aggressive"), re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL), strict=False)
)


@pytest.fixture(params=STYLES)
def style(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A style of the page and a file that holds it."""
    file = tmp_path / f"{request.param}.toml"
    file.write_text(STYLES[request.param])
    return request.param, file


@pytest.mark.req("PLT-07")
@pytest.mark.parametrize("profile", profile_names())
def test_every_style_is_a_valid_file_over_every_profile(style: tuple[str, Path], profile: str) -> None:
    name, file = style
    wanted, config = tomllib.loads(STYLES[name]), effective(profile, override=file)

    assert config["portfolio"].items() >= wanted["portfolio"].items()
    assert config["risk_guardian"]["limits"].items() >= wanted["risk_guardian"]["limits"].items()


@pytest.mark.req("PLT-07")
def test_the_table_of_styles_says_what_their_files_say(style: tuple[str, Path]) -> None:
    name, file = style
    config = effective("fx", override=file)
    rows = re.findall(r"^\| `([\w.]+)` \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)

    assert len(rows) >= 5
    for key, *values in rows:
        assert value_of(config, key) == float(values[list(STYLES).index(name)]), key


@pytest.mark.req("PLT-07")
def test_the_balanced_style_is_the_defaults() -> None:
    for name, section in tomllib.loads(STYLES["balanced"]).items():
        plain = msgspec.to_builtins(SECTIONS[name]())
        assert msgspec.to_builtins(msgspec.convert({**plain, **section}, SECTIONS[name])) == plain


@pytest.mark.req("PLT-07")
def test_risk_grows_from_style_to_style(tmp_path: Path) -> None:
    configs = []
    for name, text in STYLES.items():
        (tmp_path / name).write_text(text)
        configs.append(effective("fx", override=tmp_path / name))

    for key in ("portfolio.risk_per_trade", "portfolio.max_total_risk", "risk_guardian.limits.max_gross_exposure"):
        low, middle, high = (value_of(config, key) for config in configs)
        assert low < middle < high, key
    first_triggers = [config["risk_guardian"]["ladders"]["drawdown"][0]["trigger"] for config in configs]
    assert first_triggers == sorted(set(first_triggers))


@pytest.mark.req("PLT-07")
def test_every_key_has_a_row_with_a_meaning() -> None:
    for name, section in effective("fx").items():
        (table,) = re.findall(rf"^## \[{name}\]\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
        described = dict(re.findall(r"^\| `(.+?)` \| .+ \| .+ \| (.*) \|$", table, re.MULTILINE))
        assert set(leaves(section)) <= set(described)
        assert all(described.values())


@pytest.mark.req("PLT-07")
def test_the_reference_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools/configuration.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def value_of(config: dict[str, Any], key: str) -> Any:
    return reduce(lambda table, part: table[part], key.split("."), config)


def leaves(table: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted names of all keys. Tables that are one value (by symbol, by tier) count as one key."""
    found = []
    for key, value in table.items():
        nested = isinstance(value, dict) and key not in {"allocation", "half_spreads", "sectors", "strategy_types"}
        found += leaves(value, f"{prefix}{key}.") if nested else [f"{prefix}{key}"]
    return found
