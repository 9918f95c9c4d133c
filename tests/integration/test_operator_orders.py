"""A person at a terminal and a running system: orders by hand are judged, amended, canceled; scopes stop; each says how it ended."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.system import System, ballast, until

from ballast_cli import output
from common.messages import AlertRaised, MarketDataEnded, MarketSlice, OrderAmended, ProposeOrders, RiskStep
from common.testing.builders import EUR_USD

pytestmark = [pytest.mark.integration, pytest.mark.req("EXE-03", "RSK-09"), pytest.mark.timeout(180)]

SPAN = ("--from", "2015-01-01", "--to", "2015-03-01")


@pytest.fixture(scope="module")
def system(prepared_home: Path) -> Iterator[System]:
    """Whose data is over: what rests stays where it is."""
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="ballast-test-"))
        home.chmod(0o711)
        stack.callback(shutil.rmtree, home)
        subprocess.run(["cp", "-a", f"{prepared_home}/.", home], check=True)
        system = stack.enter_context(System(home, *SPAN, "--speed", "max"))
        until(lambda: bool(system.said(MarketDataEnded)), "the data is over")
        last = system.said(MarketSlice)[-1][1]
        until(lambda: system.said(RiskStep)[-1][1].step == last.step, "the last step is closed")
        yield system


@pytest.fixture(scope="module")
def px(system: System) -> Decimal:
    last = system.said(MarketSlice)[-1][1]
    return next(Decimal(repr(bar.close)) for bar in last.bars if bar.instrument_id == EUR_USD and bar.base)


def say(system: System, *words: object) -> dict[str, Any]:
    return ballast(system.home, *map(str, words), check=False)


def near(px: Decimal, factor: str) -> Decimal:
    return (px * Decimal(factor)).quantize(Decimal("0.0001"))


def test_an_order_is_approved_amended_and_canceled(system: System, px: Decimal) -> None:
    said = say(system, "order", "eur-usd", "buy", 1000, "--limit", near(px, "0.99"))
    assert (said["exit_code"], said["done"]) == (0, True), said
    ((name, verdict),) = said["orders"].items()
    assert verdict == {"verdict": "APPROVED", "instrument": EUR_USD, "side": "BUY", "qty": "1000", "type": "LIMIT"}
    proposed = system.said(ProposeOrders)[-1][1].orders[0]
    assert (proposed.client_order_id, proposed.ref_px, proposed.strategy_id) == (name, px, "manual")

    said = say(system, "amend", name, "--qty", 800)
    assert (said["exit_code"], said["orders"][name]["qty"]) == (0, "800"), said
    until(lambda: any(each.order.client_order_id == name for _, each in system.said(OrderAmended)), "it is amended")

    said = say(system, "cancel", name)
    assert (said["exit_code"], said["answer"], said["leaves_qty"]) == (0, "OrderCanceled", "800"), said
    said = say(system, "cancel", name)
    assert (said["exit_code"], said["answer"]) == (output.FAILED, "CancelRejected"), said
    said = say(system, "amend", name, "--qty", 700)
    assert (said["exit_code"], said["orders"][name]["code"]) == (output.FAILED, "UNKNOWN_ORDER"), said


def test_a_bracket_is_three_orders_and_all_or_none_pass(system: System, px: Decimal) -> None:
    exits = ("--stop-loss", near(px, "0.985"), "--take-profit", near(px, "1.015"))
    said = say(system, "order", EUR_USD, "buy", 1000, "--limit", near(px, "0.995"), "--post-only", *exits)
    assert (said["exit_code"], len(said["orders"])) == (0, 3), said
    entry = next(iter(said["orders"]))
    said = say(system, "order", EUR_USD, "buy", 1000, "--limit", near(px, "0.95"), "--stop-loss", near(px, "0.94"))
    assert (said["exit_code"], {each["code"] for each in said["orders"].values()}) == (output.FAILED, {"PRICE_COLLAR"})
    assert say(system, "cancel", entry)["exit_code"] == 0


def test_what_cannot_be_meant_is_never_said(system: System, px: Decimal) -> None:
    before = len(system.said(ProposeOrders))
    for words, named in (
        (("gold", "buy", 1000), EUR_USD),
        (("EUR-USD", "buy", 1000, "--stop-loss", near(px, "1.01")), "stop_loss_px"),
        (("EUR-USD", "buy", 1000, "--post-only"), "post_only"),
    ):
        said = say(system, "order", *words)
        assert said["exit_code"] == output.USAGE
        assert named in said["error"]
    assert len(system.said(ProposeOrders)) == before


def test_a_halted_instrument_takes_no_order_by_hand_until_it_is_resumed(system: System, px: Decimal) -> None:
    assert say(system, "scope", "--halt", "--instrument", "EUR-USD", "--reason", "review")["exit_code"] == 0
    order = ("order", "EUR-USD", "buy", 100_000, "--limit", near(px, "0.991"))
    said = say(system, *order)
    assert (said["exit_code"], {each["code"] for each in said["orders"].values()}) == (
        output.FAILED,
        {"INSTRUMENT_HALTED"},
    )
    assert say(system, "scope", "--resume", "--instrument", "EUR-USD", "--reason", "reviewed")["exit_code"] == 0
    said = say(system, *order)
    assert (said["exit_code"], said["done"]) == (0, True), said


def test_an_alert_is_acknowledged_once(system: System) -> None:
    waiting = [each.alert_id for _, each in system.said(AlertRaised)]
    said = say(system, "acknowledge", waiting[-1])
    assert (said["exit_code"], said["alert"]) == (0, waiting[-1]), said
    said = say(system, "acknowledge", "no-such-alert")
    assert (said["exit_code"], said["done"]) == (output.UNAVAILABLE, False)
