"""The command as a user meets it: in this process, with all it prints."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.command import Answer, Ballast

from ballast_cli.main import main


@pytest.fixture
def ballast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ballast:
    """Runs `ballast ARGUMENTS` in an empty directory with a home in which nothing has ever run. Never a traceback."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path / "home"))

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["ballast", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return Answer(int(end.value.code or 0), said.out, said.err)

    return run
