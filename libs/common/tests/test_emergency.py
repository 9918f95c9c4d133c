"""The stop file says what was meant, however it was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.runtime.emergency import STOP_FILE, ask_to_stop, parse

pytestmark = pytest.mark.req("RSK-09")


@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("reason", ["exchange is down", "FLATTEN", "HALT\nFLATTEN", "two\nlines"])
def test_what_was_asked_for_is_what_is_read(tmp_path: Path, reason: str, flatten: bool) -> None:
    path = ask_to_stop(tmp_path, reason, flatten=flatten)
    assert path == tmp_path / STOP_FILE
    assert parse(path.read_text()) == (" ".join(reason.split()), flatten)


@pytest.mark.parametrize(
    ("text", "reason", "flatten"),
    [
        ("", "file STOP", False),
        ("  \n", "file STOP", False),
        ("fat finger\n", "fat finger", False),
        ("FLATTEN\n", "file STOP", True),
        ("FLATTEN\nwe are hacked", "we are hacked", True),
        ("FLATTEN everything? no, only halt", "FLATTEN everything? no, only halt", False),
        ("x" * 10_000, "x" * 500, False),
    ],
)
def test_a_file_written_by_hand_is_a_halt_unless_its_first_line_is_flatten(
    text: str, reason: str, flatten: bool
) -> None:
    assert parse(text) == (reason, flatten)
