"""`ballast regime` and `ballast bench regime`."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from ballast_cli.configuration import effective
from ballast_cli.main import app
from ballast_cli.regime_bench import regime as bench
from common.errors import ConfigError, DataError
from regime.models import Models, load_models

SPAN = ["--from", "2014-01-01", "--to", "2016-01-01"]


@pytest.mark.req("REG-05")
def test_fitted_models_are_written_and_then_taken(tmp_path: Path) -> None:
    path, mine = tmp_path / "models.json", tmp_path / "mine.toml"
    fitted = CliRunner().invoke(app, ["regime", "fit", "--write", str(path), *SPAN, "--json"])
    assert fitted.exit_code == 0
    found = json.loads(fitted.stdout.splitlines()[-1])
    assert found["models"] == ["* 1d"]
    mine.write_text('[regime]\nmodels = "models.json"\n')
    shown = CliRunner().invoke(app, ["regime", "show", "--config", str(mine), *SPAN, "--json"])
    assert shown.exit_code == 0
    result = json.loads(shown.stdout)
    assert len(result["series"]) == 7
    for one in result["series"]:
        assert sum(one["models"][key] for key in ("bull", "bear", "sideways")) == pytest.approx(1.0, abs=1e-4)
        assert sum(held["share"] for held in one["persistence"].values()) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.req("REG-05")
@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("none/models.json", "no such directory; expected a file in a directory that is there"),
        (".", "a directory; expected a file"),
    ],
)
def test_a_file_that_cannot_be_written_is_said_before_the_fit(tmp_path: Path, file: str, why: str) -> None:
    said = CliRunner().invoke(app, ["regime", "fit", "--write", str(tmp_path / file), *SPAN])
    assert isinstance(said.exception, ConfigError)
    assert why in str(said.exception)
    assert "fitting" not in said.output


@pytest.mark.req("REG-04")
def test_a_timeframe_that_the_data_does_not_have_is_one_clear_error() -> None:
    said = CliRunner().invoke(app, ["regime", "show", "--timeframe", "1h", *SPAN])
    assert isinstance(said.exception, DataError)
    assert "timeframe 1h: no bars in this data" in str(said.exception)


@pytest.mark.req("REG-05")
def test_the_content_of_a_file_of_models_is_part_of_the_configuration(tmp_path: Path) -> None:
    path, mine = tmp_path / "models.json", tmp_path / "mine.toml"
    path.write_bytes(msgspec.json.encode(load_models("builtin")))
    mine.write_text('[regime]\nmodels = "models.json"\n')
    config = effective("fx", override=mine)
    path.unlink()
    assert load_models(config["regime"]["models"]) == load_models("builtin")
    assert load_models(effective("fx")["regime"]["models"]) != Models()
    with pytest.raises(ConfigError, match=r"regime\.models = .*models\.json'?: cannot be read"):
        effective("fx", override=mine)


@pytest.mark.req("REG-08")
def test_a_regime_that_does_not_exist_is_a_wrong_argument() -> None:
    said = CliRunner().invoke(app, ["regime", "override", "--set", "SIDEWAYS", "--reason", "test"])
    assert said.exit_code != 0
    assert "expected one of TRENDING_UP" in str(said.exception)


@pytest.mark.req("REG-09")
def test_the_bench_measures_every_slice() -> None:
    result = bench(60)
    assert result["slices"] == 60
    assert 0.0 < result["step_us"]["p50"] <= result["step_us"]["p99"]
    assert result["memory_grown_kb"] < 50_000
