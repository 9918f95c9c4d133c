"""Where answers go: terminals, full disks, closed pipes, names that nothing has."""

from __future__ import annotations

import math
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import Ballast

from ballast_cli import output

COMMAND = (sys.executable, "-c", "from ballast_cli.main import main; main()")
FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
@pytest.mark.parametrize("arguments", [("sessions", "now"), ("sessions", "now", "--json"), ("down", "--json")])
def test_a_full_disk_is_one_line_and_an_exit_code(arguments: tuple[str, ...], tmp_path: Path) -> None:
    with FULL.open("w") as full:
        ended = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, check=False)
    assert ended.returncode == 78
    assert ended.stderr.decode() == "ballast: the output: cannot be written: No space left on device\n"


def test_a_closed_output_is_no_bug(tmp_path: Path) -> None:
    closed = 'exec "$@" >&-'
    ended = subprocess.run(
        ["sh", "-c", closed, "sh", *COMMAND, "down"], stderr=subprocess.PIPE, cwd=tmp_path, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_ctrl_c_while_modules_are_imported_ends_without_a_traceback(tmp_path: Path) -> None:
    interrupted = "import ballast_cli; raise KeyboardInterrupt"
    ended = subprocess.run([sys.executable, "-c", interrupted], stderr=subprocess.PIPE, cwd=tmp_path, check=False)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, b"")


def test_a_narrow_terminal_cuts_no_cell_off(tmp_path: Path) -> None:
    table = "from rich.table import Table; from ballast_cli import output; one = Table(*['a long heading'] * 8)"
    shown = f"{table}; one.add_row(*['1234567890.12345'] * 8); output.out.print(one)"
    main, terminal = pty.openpty()
    environment = os.environ | {"COLUMNS": "80", "NO_COLOR": "1"}
    subprocess.run([sys.executable, "-c", shown], stdout=terminal, env=environment, cwd=tmp_path, check=True)
    os.close(terminal)
    printed = os.read(main, 65_536).decode()
    os.close(main)
    assert printed.count("1234567890.12345") == 8


def test_what_is_undefined_is_null_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    output.answer({"a": math.nan, "b": [1.5, {"c": -math.inf}], "d": (math.inf, 2)}, True)
    assert capsys.readouterr().out == '{"a": null, "b": [1.5, {"c": null}], "d": [null, 2]}\n'


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("ab", "--only", "nothing-like-it"), 2, "--only nothing-like-it: in no feature's name; expected a part of"),
        (("stress-test", "--episodes", "nowhere"), 78, "nowhere: no episode of profile fx"),
        (("bench", "engines", "--data", "nowhere"), 78, "--data nowhere: no fx/m1/EURUSD_M1_201701-201712_histdata"),
    ],
)
def test_what_nothing_has_is_refused_before_the_work(
    ballast: Ballast, arguments: tuple[str, ...], code: int, said: str
) -> None:
    if arguments[0] == "bench":
        arguments = (*arguments, "--checkout", str(Path(__file__).parents[2]))
    answer = ballast(*arguments)
    assert answer.code == code
    assert said in " ".join(answer.err.split())
