"""`ballast evaluate regime`: anyone's data judged the same way, and one clear error for what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from ballast_cli.main import app
from ballast_cli.output import OK, WrongArgumentError
from common.errors import ConfigError, DataError
from common.model.time import Timeframe
from regime.models import Models, load_models

HEAD = "timestamp,instrument,label\n"
LABELS = HEAD + "2017-01-01,EURUSD,sideways\n2017-04-01,EURUSD,bull\n2017-09-08,EURUSD,bear\n2017-11-07,EURUSD,bull\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path / "home"))
    return tmp_path


def labels(folder: Path, text: str) -> str:
    (folder / "labels.csv").write_text(text)
    return str(folder / "labels.csv")


@pytest.mark.req("REG-09")
def test_your_own_labels_are_what_is_judged_by(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    command = ["evaluate", "regime", "--data", "builtin-h1", "--labels", labels(tmp_path, LABELS)]
    ran = CliRunner().invoke(app, [*command, "--report", str(page), "--json"])
    assert ran.exit_code == OK, ran.output
    told = json.loads(ran.stdout)
    assert (told["labeled"], told["aims"]) == ([], [])
    (field,) = told["real"]
    assert field["source"] == "labels of labels.csv"
    assert {"rules", "rules, daily", "plain HMM"} <= set(field["judges"])
    score = field["judges"]["rules"]
    # The second half of 2017 was bull until 8 September, then bear until 7 November, then bull, by the file.
    assert [sum(row) > 0 for row in score["trend"]["confusion"]] == [True, True, False]
    assert score["trend"]["delay"]["changes"] == 2
    assert score["stress"]["accuracy"] is None
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.req("REG-09")
def test_models_that_have_nothing_to_say_are_named(tmp_path: Path) -> None:
    daily = [model for model in load_models("builtin").models if model.timeframe is Timeframe.D1]
    (tmp_path / "daily.json").write_bytes(msgspec.json.encode(Models(models=tuple(daily))))
    models = ["--models", str(tmp_path / "daily.json")]
    ran = CliRunner().invoke(app, ["evaluate", "regime", "--data", "builtin-h1", *models, "--json"])
    assert ran.exit_code == OK, ran.output
    assert "builtin-h1 1h: not judged by models, none is of 1h" in ran.stderr
    assert "models" not in json.loads(ran.stdout)["real"][0]["judges"]


@pytest.mark.req("REG-09")
def test_without_labels_published_rules_say_what_it_was() -> None:
    ran = CliRunner().invoke(app, ["evaluate", "regime", "--data", "builtin-h1"])
    assert ran.exit_code == OK, ran.output
    assert "builtin-h1 1h" in ran.stdout
    assert "best constant" in ran.stdout


@pytest.mark.req("REG-09")
@pytest.mark.parametrize(
    ("arguments", "text", "error", "said"),
    [
        (["--data", "builtin-h1"], HEAD + "2017-01-01,EURUSD,higher\n", DataError, "label 'higher'"),
        (["--data", "builtin-h1"], HEAD + "2017-01-01,GBPUSD,bull\n", DataError, "'GBPUSD' is not in the data"),
        (["--data", "nowhere"], LABELS, ConfigError, "no such directory"),
        ([], LABELS, WrongArgumentError, "say --data too"),
        (["--data", "builtin-h1", "--report", "no/such/page.html"], LABELS, ConfigError, "no such directory"),
        (["--data", "builtin-h1", "--models", "none.json"], LABELS, ConfigError, "none.json"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    tmp_path: Path, arguments: list[str], text: str, error: type[Exception], said: str
) -> None:
    ran = CliRunner().invoke(app, ["evaluate", "regime", *arguments, "--labels", labels(tmp_path, text)])
    assert isinstance(ran.exception, error)
    assert said in str(ran.exception)
