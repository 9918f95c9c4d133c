"""The chain as a whole: live equals backtest, whatever dies on the way; stops stop; silence stops."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from decimal import Decimal
from pathlib import Path

import pytest
from support.system import SPAN, System, ballast, login, until

from common.messages import (
    HaltTrading,
    OrderAccepted,
    OrderApproved,
    OrderDenied,
    OrderFilled,
    OrderSubmitted,
    RiskStep,
    TradingStateChanged,
)
from common.messages.orders import Order
from common.model.enums import DenyCode, Side, TradingState
from common.runtime.nats_tape import NatsTape
from common.runtime.session import envelope
from common.runtime.subjects import subject
from execution.admission import is_flattening

KILLED = ("market_data", "regime", "signals", "portfolio", "risk_guardian", "execution", "recorder")
KILLS = 20


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a backtest of the same span says."""
    return ballast(tmp_path_factory.mktemp("backtest"), "backtest", *SPAN)


@pytest.fixture
def patient(home: Path) -> str:
    """How long execution trusts silence is not what the kill tests are about, and a busy machine restarts slowly."""
    path = home / "patient.toml"
    path.write_text("[execution]\nguardian_timeout_s = 30\nintent_timeout_s = 30\ncancel_after_silence_s = 120\n")
    return str(path)


@pytest.mark.req("PLT-01", "PLT-04", "PLT-09", "RES-01")
@pytest.mark.timeout(180)
def test_a_live_run_has_the_digest_of_the_backtest_and_replays_identically(
    home: Path, expected: dict[str, object]
) -> None:
    live = ballast(home, "up", *SPAN, "--speed", "max", "--until-end")
    same = ("bars", "steps", "signals", "orders", "equity", "max_drawdown", "halts", "digest")
    assert {key: live[key] for key in same} == {key: expected[key] for key in same}
    assert live["restarts"] == 0
    again = ballast(home, "replay", "--check")
    assert all(service["identical"] for service in again["services"].values()), again
    assert set(again["services"]) == set(KILLED) - {"recorder"}


@pytest.mark.req("PLT-01", "PLT-02", "EXE-01")
@pytest.mark.timeout(400)
def test_killing_each_service_in_turn_twenty_times_changes_no_order_and_no_fill(
    home: Path, patient: str, expected: dict[str, object]
) -> None:
    victims = itertools.islice(itertools.cycle(KILLED), KILLS)
    with System(home, *SPAN, "--config", patient, "--speed", "12", "--until-end") as system:
        until(lambda: len(system.said(RiskStep)) > 5, "the run is under way")
        kills = 0
        for victim in victims:
            assert system.running, f"the run was over after {kills} kills"
            before = system.pid(victim)
            system.kill(victim)
            until(lambda: system.pid(victim) not in (None, before), f"{victim} is started again")  # noqa: B023
            kills += 1
            time.sleep(0.4)
        result = system.result(timeout_s=240)
    print(f"\n{kills} kills, {result['restarts']} restarts, {result['wall_s']} s")
    assert kills == KILLS
    assert result["restarts"] >= KILLS
    assert result["digest"] == expected["digest"]


@pytest.mark.req("PLT-02", "PLT-03", "PLT-04")
@pytest.mark.timeout(240)
def test_killing_the_servers_under_a_run_changes_no_order_and_no_fill(
    home: Path, patient: str, expected: dict[str, object]
) -> None:
    victims = ("nats", "redis", "postgres", "nats", "postgres")
    with System(home, *SPAN, "--config", patient, "--speed", "15", "--until-end") as system:
        until(lambda: len(system.said(RiskStep)) > 5, "the run is under way")
        for victim in victims:
            assert system.running, "the run was over too soon"
            before = system.pid(victim)
            system.kill(victim)
            until(lambda: system.pid(victim) not in (None, before), f"{victim} is started again")  # noqa: B023
            time.sleep(2)
        result = system.result(timeout_s=120)
    assert result["restarts"] >= len(victims)
    assert result["digest"] == expected["digest"]


@pytest.mark.req("RSK-09", "RSK-01")
@pytest.mark.timeout(180)
def test_a_halt_stops_all_new_orders_at_once_and_survives_a_restart_of_everything(home: Path) -> None:
    run = (*SPAN, "--speed", "15")
    with System(home, *run) as system:
        until(lambda: len(system.said(OrderFilled)) > 3, "orders are filled")
        answer = ballast(home, "halt", "--reason", "drill")
        assert answer["confirmed"]
        halted_at = answer["seq"]
        steps_then = len(system.said(RiskStep))
        until(lambda: len(system.said(RiskStep)) > steps_then + 20, "the market goes on")
        tape = system.tape()
    confirmed = next(e for seq, e, m in tape if seq > halted_at and isinstance(m, TradingStateChanged))
    command = next(e for _, e, m in tape if isinstance(m, HaltTrading))
    ways_out = {m.order.client_order_id for _, _, m in tape if isinstance(m, OrderSubmitted) and is_flattening(m.order)}
    accepted = [m for seq, _, m in tape if seq > halted_at and isinstance(m, OrderAccepted)]
    accepted_after = [m for m in accepted if m.client_order_id not in ways_out]  # the guardian's ladders go on cutting
    print(
        f"\nhalt: confirmed to the operator after {answer['took_ms']} ms, guardian said it after "
        f"{(confirmed.ts_init - command.ts_init) / 1e6:.1f} ms, orders accepted afterwards: {len(accepted_after)}"
    )
    assert accepted_after == []
    with System(home, *run) as system:
        began = len(system.said(RiskStep))
        until(lambda: len(system.said(RiskStep)) > began + 10, "the same run goes on after the restart")
        tape = system.tape()
        states = [m for _, _, m in tape if isinstance(m, RiskStep)]
        assert states[-1].trading_state is TradingState.HALTED
        assert not [m for seq, _, m in tape if seq > halted_at and isinstance(m, OrderAccepted)]
        assert ballast(home, "resume", "--reason", "drill is over")["confirmed"]
        until(lambda: bool(_after(system, OrderAccepted, halted_at)), "orders are accepted again")


@pytest.mark.req("RSK-01", "PLT-12")
@pytest.mark.timeout(180)
def test_execution_accepts_nothing_while_the_guardian_is_silent_and_exits_work_when_it_is_back(home: Path) -> None:
    with System(home, *SPAN, "--speed", "15") as system:
        until(lambda: bool(system.said(OrderFilled)), "a position is held")
        system.kill("risk_guardian", signal.SIGSTOP)
        time.sleep(2.5)  # longer than execution.guardian_timeout_s
        instrument = system.said(OrderFilled)[-1][1].instrument_id
        asyncio.run(_forge_approval(home, instrument))
        until(lambda: bool(_denied(system, "forged")), "the forged approval is answered", 10)
        assert [denial.code for denial in _denied(system, "forged")] == [DenyCode.GUARDIAN_SILENT]
        assert "forged" not in {m.order.client_order_id for _, m in system.said(OrderSubmitted)}
        system.kill("risk_guardian", signal.SIGCONT)
        assert ballast(home, "halt", "--reason", "drill", "--flatten")["confirmed"]
        until(lambda: _exposure(system) == 0, "the guardian has flattened every position")


@pytest.mark.req("EXE-01", "PLT-03")
@pytest.mark.timeout(180)
def test_no_order_adds_risk_while_its_intent_cannot_be_recorded(home: Path) -> None:
    with System(home, *SPAN, "--speed", "15") as system:
        until(lambda: len(system.said(OrderFilled)) > 1, "orders are filled")
        frozen = _tree(system.pid("postgres"))
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        seq = system.tape()[-1][0]
        until(lambda: bool(_after(system, OrderDenied, seq)), "an order is denied", 60)
        codes = {message.code for message in _after(system, OrderDenied, seq)}
        refused = {message.order.client_order_id for message in _after(system, OrderDenied, seq)}
        submitted = [m for m in _after(system, OrderSubmitted, seq) if m.order.client_order_id in refused]
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        assert codes == {DenyCode.INTENT_NOT_RECORDED}
        assert submitted == []
        seq = system.tape()[-1][0]
        until(lambda: bool(_after(system, OrderAccepted, seq)), "orders are accepted again", 60)


@pytest.mark.req("PLT-10")
@pytest.mark.timeout(120)
def test_an_order_explains_itself_from_the_tick_to_the_fill(home: Path) -> None:
    with System(home, *SPAN, "--speed", "15") as system:
        until(lambda: len(system.said(OrderFilled)) > 1, "orders are filled")
        order_id = system.said(OrderFilled)[0][1].client_order_id
        until(lambda: ballast(home, "explain", order_id, check=False)["exit_code"] == 0, "the recorder has it")
        chain = ballast(home, "explain", order_id)["chain"]
    stages = [link["stage"] for link in chain]
    wanted = ["tick", "regime", "signal", "target", "decision", "order", "fill"]
    assert [stage for stage in dict.fromkeys(stages) if stage in wanted] == wanted, stages
    unknown = ballast(home, "explain", order_id, check=False)
    assert unknown["exit_code"] == 69  # nothing runs any more
    assert "nothing runs here" in unknown["error"]


def _after(system: System, kind: type, seq: int) -> list[object]:
    return [message for at, message in system.said(kind) if at > seq]


def _exposure(system: System) -> Decimal:
    steps = system.said(RiskStep)
    return steps[-1][1].gross_exposure if steps else Decimal(0)


def _denied(system: System, order_id: str) -> list[OrderDenied]:
    return [m for _, m in system.said(OrderDenied) if m.order.client_order_id == order_id]


async def _forge_approval(home: Path, instrument_id: str) -> None:
    """What a thief of the guardian's password could do while it is down."""
    order = Order(
        client_order_id="forged",
        account="paper",
        strategy_id="book",
        instrument_id=instrument_id,
        side=Side.BUY,
        qty=Decimal(1000),
        ref_px=Decimal(1),
    )
    message = OrderApproved(ts_event=1, order=order, step=10**9)
    tape = await NatsTape.connect(login(home, "risk_guardian"))
    await (await tape.append(subject(message), envelope("risk_guardian", message, "forged", cause=None)))
    await tape.close()


def _tree(pid: int | None) -> list[int]:
    """A process and all below it, children first."""
    assert pid is not None
    children = [
        int(stat.parent.name)
        for stat in Path("/proc").glob("[0-9]*/stat")
        if int(stat.read_text().rpartition(")")[2].split()[1]) == pid
    ]
    return [*itertools.chain.from_iterable(_tree(child) for child in children), pid]
