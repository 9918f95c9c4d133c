"""Orders by hand at a terminal: what is wrong with an argument is one line, before anything is said to anybody."""

from __future__ import annotations

from decimal import Decimal

import pytest
from support.command import Ballast

from ballast_cli import output
from ballast_cli.orders import _verdicts
from common.messages import OrderApproved, OrderDenied
from common.model.enums import DenyCode
from common.testing.builders import a

pytestmark = pytest.mark.req("EXE-03", "RSK-09")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("order", "EUR-USD", "hold", "1000"), "hold"),
        (("order", "EUR-USD", "buy", "many"), "QTY = 'many'"),
        (("order", "EUR-USD", "buy", "-5"), "-5"),
        (("order", "EUR-USD", "buy", "0"), "QTY = '0'"),
        (("order", "EUR-USD", "buy", "5", "--limit", "nan"), "--limit = 'nan'"),
        (("amend", "o-1"), "--qty, --limit or --stop"),
        (("amend", "o-1", "--qty", "inf"), "--qty = 'inf'"),
        (("scope", "--halt", "--reason", "review"), "--strategy or --instrument"),
        (("scope", "--halt", "--strategy", "s", "--reason", " "), "empty"),
        (("scope", "--strategy", "s", "--reason", "review"), "--halt"),
        (("cancel",), "order_id"),
        (("acknowledge",), "alert_id"),
    ],
)
def test_a_wrong_argument_is_named(ballast: Ballast, arguments: tuple[str, ...], named: str) -> None:
    said = ballast(*arguments)
    assert said.code == output.USAGE
    assert named in said.err
    if said.err.startswith("ballast: "):  # what the command found itself; the rest is the parser's
        assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("order", "EUR-USD", "buy", "1000"),
        ("amend", "o-1", "--qty", "5"),
        ("cancel", "o-1"),
        ("scope", "--halt", "--strategy", "s", "--reason", "review"),
        ("acknowledge", "drawdown-1"),
    ],
)
def test_where_nothing_runs_the_answer_is_one_line(ballast: Ballast, arguments: tuple[str, ...]) -> None:
    said = ballast(*arguments)
    assert said.code == output.UNAVAILABLE
    assert len(said.err.splitlines()) == 1
    assert "ballast up" in said.err


def test_an_order_that_was_cut_says_by_what_and_a_denied_one_by_how_much() -> None:
    cut = a(OrderApproved, resized_from=Decimal(5000), rule="MAX_POSITION: 5500 over 1100")
    said = _verdicts([cut])
    (words,) = said["orders"].values()
    assert (said["done"], words["asked_for"], words["because"]) == (True, "5000", "MAX_POSITION: 5500 over 1100")
    said = _verdicts([cut, a(OrderDenied, code=DenyCode.STALE_PRICE, observed=Decimal(9), limit=Decimal(4))])
    assert (said["confirmed"], said["done"]) == (True, False)
    assert _verdicts([]) == {"confirmed": False, "done": False, "orders": {}}
