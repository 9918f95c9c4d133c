"""A bar shows what is left, and only for what takes long."""

from __future__ import annotations

import time

import pytest

from ballast_cli import progress
from ballast_cli.progress import Bar, data_span_ns
from common.model.time import to_datetime
from common.runtime.settings import load


def drawn(capsys: pytest.CaptureFixture[str], bar: Bar) -> str:
    with bar:
        for done in (25, 50, 75):
            time.sleep(0.15)
            bar.to(done, f"at {done}")
    return capsys.readouterr().err


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "err", type(progress.err)(stderr=True, force_terminal=True, width=120))


@pytest.mark.req("RES-09")
def test_a_long_work_shows_its_share_and_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 0.1)
    said = drawn(capsys, Bar("counting", total=125, start=25, show=True))
    assert "counting" in said
    assert "at 75" in said
    assert "50%" in said
    assert "left" in said


def test_a_work_of_unknown_length_promises_no_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 0.1)
    said = drawn(capsys, Bar("counting", total=None, show=True))
    assert "at 75" in said
    assert "left" not in said


@pytest.mark.parametrize("show", [True, False])
def test_a_short_work_and_one_without_a_terminal_show_nothing(capsys: pytest.CaptureFixture[str], show: bool) -> None:
    assert drawn(capsys, Bar("counting", total=100, show=show)) == ""


def test_the_span_of_the_data_is_what_a_run_has_before_it() -> None:
    config = load("fx")
    config["run"] = {"data": "builtin-h1"}
    first, last = data_span_ns(config)
    assert (to_datetime(first).year, to_datetime(last).year) == (2017, 2017)
    assert last - first > 300 * 86_400 * 10**9
