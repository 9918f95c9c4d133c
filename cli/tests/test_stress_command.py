"""`ballast stress`: the guardian's answer in words, and one line when there is nobody to ask."""

from __future__ import annotations

import pytest
from support.command import Ballast

from ballast_cli import output
from ballast_cli.stress import in_words


@pytest.mark.req("RSK-10")
def test_where_nothing_runs_the_answer_is_one_line(ballast: Ballast) -> None:
    said = ballast("stress")
    assert said.code == output.UNAVAILABLE
    assert "ballast up" in said.err


def answered(**parts: float) -> dict[str, object]:
    result = {"scenario": "s", "loss": sum(parts.values()), "by_instrument": parts, "limit": 0.1, "breached": True}
    return {"confirmed": True, "book": "fx", "step": 3, "scenarios": {"s": result}}


@pytest.mark.req("RSK-10")
def test_a_scenario_is_a_line_with_its_loss_its_limit_and_who_loses_most() -> None:
    said = in_words(answered(a=0.01, b=0.1, c=-0.02, d=0.03))
    assert said == {"s": "  12.00%  limit 10.0% EXCEEDED  b 10.00%, d 3.00%, c -2.00%"}


def test_an_empty_book_and_a_silent_guardian_say_so() -> None:
    assert in_words(answered()) == {"book": "holds nothing that a scenario could hurt"}
    assert in_words({"confirmed": False, "book": "fx"}) == {"guardian": "does not answer"}
