"""Wrong arguments, wrong files and nothing there: one clear line and an exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.command import Ballast

from ballast_cli import main as command
from ballast_cli import output

FAILING_STRATEGY = """from signals.api import Strategy, Tier, VolState
def decide(ctx):
    return 1 / 0
strategy = Strategy(
    id="bad", tier=Tier.CORE, params={s: {} for s in VolState}, features=lambda p: {}, decide=decide, hold_bars=10
)
"""
FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "an unknown section": ("[regmie]\nadx_period = 14", ("[regmie]", "unknown section", "regime")),
    "a section of the command line": ('[run]\nspeed = "5"', ("[run]", "unknown section")),
    "an unknown key": ("[regime]\nadx_perod = 14", ("regime", "adx_perod", "unknown key")),
    "an unknown key in a table": ("[risk_guardian.limits]\nmax = 1", ("risk_guardian.limits", "max", "unknown key")),
    "a value below its bound": ("[regime]\nadx_period = 1", ("regime.adx_period = 1", ">= 2")),
    "a value above its bound": ("[portfolio]\nrisk_per_trade = 0.5", ("portfolio.risk_per_trade = 0.5", "<= 0.1")),
    "a value of the wrong type": ('[regime]\nadx_period = "x"', ("regime.adx_period = 'x'", "`int`")),
    "a value instead of a section": ("regime = 3", ("regime = 3", "`object`")),
    "a word that is no choice": ('[signals]\ntimeframes = ["2d"]', ("signals.timeframes.0 = '2d'",)),
    "thresholds that contradict": ("[regime]\nadx_range = 30", ("regime", "adx_range < adx_trend")),
    "tiers of more than everything": ("[portfolio]\nallocation = {core = 0.9, growth = 0.9}", ("at most 1", "1.8")),
    "an amount that is none": ('[account]\nstarting_cash = "nan"', ("account", "finite amount > 0")),
    "a level that never lets go": (
        "[risk_guardian.ladders]\ndrawdown = [{trigger = 0.1, release = 0.2}]",
        ("risk_guardian.ladders.drawdown.0", "release below the trigger"),
    ),
    "a strategy that does not exist": ('[signals]\nstrategies = ["sma"]', ("signals.strategies", "'sma'", "sma_cross")),
    "a folder that does not exist": ('[signals]\nstrategy_folder = "mine"', ("signals.strategy_folder", "/mine'")),
    "what is no TOML": ("[regime\nadx = 1", ("mine.toml", "not valid TOML", "line 1")),
}


@pytest.mark.req("PLT-07")
@pytest.mark.parametrize(("content", "named"), FILES.values(), ids=FILES)
def test_a_wrong_configuration_is_refused_with_key_value_and_expectation(
    ballast: Ballast, tmp_path: Path, content: str, named: tuple[str, ...]
) -> None:
    (tmp_path / "mine.toml").write_text(content)

    answer = ballast("config", "check", "--config", "mine.toml")

    assert answer.code == output.CONFIG
    assert answer.out == ""
    assert len(answer.err.splitlines()) == 1
    assert all(word in answer.err for word in named), answer.err


def test_a_configuration_file_that_cannot_be_read_is_named(ballast: Ballast, tmp_path: Path) -> None:
    (tmp_path / "noise.toml").write_bytes(bytes(range(128, 256)))

    for name, why in (("absent.toml", "No such file"), (".", "Is a directory"), ("noise.toml", "not valid TOML")):
        answer = ballast("config", "check", "--config", name)
        assert (answer.code, name in answer.err, why in answer.err) == (output.CONFIG, True, True)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--profile", "forex"), ("'forex'", "fx")),
        (("--from", "yesterday"), ("--from yesterday", "2017-01-31")),
        (("--to", "2017-13-01"), ("--to 2017-13-01", "2017-01-31")),
        (("--from", "2018-01-01", "--to", "2017-01-01"), ("--from 2018-01-01", "start before the end")),
        (("--from", "2190-01-01"), ("holds no prices", "2190-01-01")),
        (("--data", "nowhere"), ("--data nowhere", "builtin")),
        (("--data", "synthetic:quiet"), ("'synthetic:quiet'", "calm")),
        (("--data", "synthetic:calm:7q"), ("'synthetic:calm:7q'", "1h")),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") and len(value) > 1 else "",
)
def test_a_run_that_cannot_be_is_refused_before_it_begins(
    ballast: Ballast, arguments: tuple[str, ...], named: tuple[str, ...]
) -> None:
    answer = ballast("backtest", *arguments, "--json")

    assert answer.code == output.CONFIG
    assert all(word in answer.json["error"] for word in named), answer.json
    assert answer.json["error"] in answer.err


@pytest.mark.parametrize("speed", ["fast", "0", "-1", "0x", "nan", ""])
def test_a_speed_that_is_none_starts_nothing(ballast: Ballast, tmp_path: Path, speed: str) -> None:
    answer = ballast("up", f"--speed={speed}")

    assert (answer.code, answer.out) == (output.CONFIG, "")
    assert f"--speed {speed}: Expected a speed such as" in answer.err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nope",),
        ("nope",),
        ("backtest", "--speed", "5"),
        ("backtest", "--resume-after", "-1"),
        ("backtest", "--resume-after", "soon"),
        ("bench", "latency", "--steps", "1"),
        ("explain",),
        ("resume",),
        ("resume", "--reason", ""),
        ("halt", "--reason", "  "),
        ("replay",),
    ],
    ids=" ".join,
)
def test_a_wrong_argument_is_named_and_the_exit_code_is_2(ballast: Ballast, arguments: tuple[str, ...]) -> None:
    answer, with_json = ballast(*arguments), ballast(*arguments, "--json")

    assert (answer.code, with_json.code) == (output.USAGE, output.USAGE)
    assert answer.out == ""
    assert "Error: " in answer.err
    assert "arguments" in with_json.json["error"]


@pytest.mark.parametrize(
    "arguments",
    [("halt",), ("halt", "--flatten"), ("resume", "--reason", "drill"), ("explain", "fx-1"), ("replay", "--check")],
    ids=" ".join,
)
def test_a_command_for_a_running_system_says_that_nothing_runs(
    ballast: Ballast, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    answer = ballast(*arguments, "--json")

    assert answer.code == output.UNAVAILABLE
    assert "nothing" in answer.json["error"]
    assert str(tmp_path / "home") in answer.json["error"]


def test_status_and_down_answer_where_nothing_runs(ballast: Ballast, tmp_path: Path) -> None:
    status, down = ballast("status", "--json"), ballast("down", "--json")

    assert (status.code, status.json) == (output.UNAVAILABLE, {"running": False, "home": str(tmp_path / "home")})
    assert (down.code, down.json) == (output.OK, {"stopped": False})


def test_a_home_that_cannot_be_made_is_named(ballast: Ballast, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where a directory should be")

    up, doctor = ballast("up"), ballast("doctor", "--json")

    assert (up.code, up.err) == (output.CONFIG, f"ballast: {tmp_path / 'home'}: File exists\n")
    assert doctor.code == output.FAILED
    assert [check["check"] for check in doctor.json["checks"] if not check["ok"]] == ["home is writable"]


def test_a_strategy_with_a_syntax_error_is_named_with_its_line(ballast: Ballast, tmp_path: Path) -> None:
    folder = tmp_path / "own" / "strategies"
    folder.mkdir(parents=True)
    (folder / "broken.py").write_text("import math\ndef (:\n")
    (tmp_path / "own" / "mine.toml").write_text('[signals]\nstrategy_folder = "strategies"')  # seen from this file

    for arguments in (("config", "check"), ("backtest", "--data", "builtin-h1")):
        answer = ballast(*arguments, "--config", "own/mine.toml", "--json")
        assert answer.code == output.CONFIG
        assert answer.json["error"].startswith(f"{folder}/broken.py:2: SyntaxError")


def test_what_is_valid_is_shown_with_every_default(ballast: Ballast, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[regime]\nadx_period = 21")

    checked = ballast("config", "check", "--config", "mine.toml", "--json")
    shown = ballast("config", "show", "--config", "mine.toml", "--json")

    assert checked.json == {"valid": True, "profile": "fx", "config": "mine.toml"}
    assert shown.json["regime"]["adx_period"] == 21
    assert shown.json["regime"]["chop_period"] == 14
    assert shown.json["signals"]["timeframes"] == ["1d", "1w"]


def test_a_long_answer_stays_on_its_line(ballast: Ballast) -> None:
    lines = ballast("config", "show").out.splitlines()

    assert all(line.split("  ")[0].count(".") >= 1 for line in lines)
    assert any(len(line) > 80 for line in lines)


def test_a_bug_of_ours_is_reported_with_its_traceback_and_exit_code_70(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stumble() -> None:
        try:
            print(1 // 0)
        except ZeroDivisionError:
            command._bug()

    monkeypatch.setattr(sys, "argv", ["ballast", "status", "--json"])
    with pytest.raises(SystemExit) as end:
        stumble()

    said = capsys.readouterr()
    assert end.value.code == output.BUG
    assert "ZeroDivisionError: integer division" in said.err
    assert said.out == '{"error": "this is a bug; please report it with the lines above"}\n'


@pytest.mark.req("SIG-01", "PLT-08")
def test_a_strategy_of_the_user_that_fails_is_named_with_its_file_and_line_and_the_rest_is_run(
    ballast: Ballast, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "bad.py").write_text(FAILING_STRATEGY)
    (tmp_path / "mine.toml").write_text('[signals]\nstrategy_folder = "mine"\nstrategies = ["bad"]\n')
    answer = ballast("backtest", "--config", "mine.toml", "--from", "2015-01-01", "--to", "2015-02-01", "--json")
    assert answer.code == output.FAILED
    assert "bad.py:3" in answer.json["features_off"]["signals strategy:bad"]
    assert "ZeroDivisionError" in answer.json["features_off"]["signals strategy:bad"]
    assert answer.json["steps"] > 0


def test_the_installed_command_ends_with_the_same_codes(tmp_path: Path) -> None:
    done: Callable[..., subprocess.CompletedProcess[str]] = lambda *arguments: subprocess.run(  # noqa: E731
        [Path(sys.executable).parent / "ballast", *arguments],
        env={**os.environ, "BALLAST_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done("--help").returncode == output.OK
    assert done("status").returncode == output.UNAVAILABLE
    assert done("config", "check", "--profile", "forex").returncode == output.CONFIG
    assert done("config", "check", "--nope").returncode == output.USAGE
