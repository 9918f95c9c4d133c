"""Run-books say the same four things, are listed, and name only commands and pages that exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.alerting.watchmen import ROOT
from tools import alerts

from ballast_cli.main import app

RUNBOOKS = ROOT / "docs" / "runbooks"
HEADINGS = ("## What it means", "## What the system has done", "## Where to look", "## How to end it")
CALLED = re.compile(r"`(ballast [^`]+)`|^ {4}(?:[A-Z_]+=\S+ )*(ballast .+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]+)\)")
ALERTED = sorted({str(alert.rule["annotations"]["runbook_url"]) for alert in alerts.alerts(alerts.PROMETHEUS)})
EVERY = sorted(path for path in RUNBOOKS.glob("*.md"))


def commands(text: str) -> Iterator[str]:
    for match in CALLED.finditer(text):
        yield " ".join((match[1] or match[2]).split("#")[0].split())


def check(command: str) -> None:
    """Fails unless the verb exists and takes these options. Words in capitals and `…` stand for values."""
    verb: Any = typer.main.get_command(app)
    words = shlex.split(command)[1:]
    while words and hasattr(verb, "commands"):
        assert words[0] in verb.commands, command
        verb = verb.commands[words.pop(0)]
    known = {option for parameter in verb.params for option in (*parameter.opts, *parameter.secondary_opts)}
    wrong = [word for word in words if word.startswith("--") and word.split("=")[0] not in known]
    assert not wrong, f"{command}: no option {wrong}"


@pytest.mark.req("MON-05", "RSK-12")
@pytest.mark.parametrize("name", ALERTED)
def test_the_run_book_of_every_alert_says_the_four_things_and_a_command(name: str) -> None:
    text = (ROOT / name).read_text()
    positions = [text.find(heading) for heading in HEADINGS]
    assert -1 not in positions
    assert positions == sorted(positions)
    assert list(commands(text)), f"{name} names no command"


@pytest.mark.req("MON-05")
@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_commands_and_links_of_a_run_book_exist(path: Path) -> None:
    text = path.read_text()
    for command in commands(text):
        check(command)
    for link in LINK.findall(text):
        assert "://" in link or (path.parent / link).exists(), link


@pytest.mark.req("MON-05")
def test_every_run_book_is_listed() -> None:
    listed = set(LINK.findall((RUNBOOKS / "README.md").read_text()))
    assert {path.name for path in EVERY} - {"README.md"} <= listed


@pytest.mark.parametrize("command", ["ballast explode", "ballast halt --gently", "ballast config shew"])
def test_a_command_that_does_not_exist_is_found(command: str) -> None:
    with pytest.raises(AssertionError):
        check(command)
