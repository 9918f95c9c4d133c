"""Somebody dies, or freezes, on purpose."""

from __future__ import annotations

import time
from collections import Counter
from typing import Final

from ballast_cli.readiness.evidence import Evidence, not_here, seconds
from ballast_cli.readiness.system import System, order_id, until
from common import messages as m
from common.contracts import LEASED
from common.model.parties import GUARDIAN
from common.model.time import NS_PER_SECOND

TAKES_OVER_WITHIN_S: Final = 5.0
BACK_WITHIN_S: Final = 10.0
SILENCE_WITHIN_S: Final = 20.0
REFUSES_AFTER_S: Final = 5.0
_STEP_WITHIN_S: Final = 10.0
_LOOK_AGAIN_S: Final = 15.0


def failover(system: System) -> Evidence:
    """With standbys, each leader is frozen and the other must lead; without, each is killed and must be back. Nothing is lost."""
    parts, good = [], True
    for service in LEASED:
        pair = len(system.instances(service)) > 1
        fine, said = _taken_over(system, service) if pair else _back(system, service)
        parts.append(said)
        good = good and fine
    end = system.end()
    goes_on = until(lambda: bool(_steps(system, end)) or _all_answered(system), _STEP_WITHIN_S) is not None
    steps, double = _steps(system, 0), _sent_twice(system)
    whole = steps == list(range(steps[0], steps[0] + len(steps))) if steps else True
    parts.append("steps go on" if goes_on else "a slice is not answered")
    parts.append(f"{len(steps)} steps on the tape, {'none lost or double' if whole else 'some lost or double'}")
    parts += [f"{len(double)} orders sent twice"] if double else []
    return Evidence(
        passed=good and goes_on and whole and not double,
        did="froze each leader" if len(system.instances(GUARDIAN)) > 1 else "killed execution and the guardian (-9)",
        saw="; ".join(parts),
        limit=f"a standby leads within {TAKES_OVER_WITHIN_S:g} s; without one, ready within {BACK_WITHIN_S:g} s; no step lost, "
        "no order sent twice",
    )


def dead_mans_switch(system: System) -> Evidence:
    """All guardians stand still; execution says that it has lost them and takes back what adds risk."""
    guardians = system.instances(GUARDIAN)
    if not guardians:
        return not_here("no guardian runs")
    before = system.end()
    with system.frozen(*guardians):
        since_ns = time.time_ns()
        took = until(lambda: bool(system.said(m.GuardianLost, after=before)), SILENCE_WITHIN_S)
        late = _adding_risk(system, before, since_ns + int(REFUSES_AFTER_S * NS_PER_SECOND))
    back = until(lambda: system.ready(guardians[0]) and system.leader(GUARDIAN) is not None, _LOOK_AGAIN_S)
    lost = "execution did not say so" if took is None else f"execution noticed after {seconds(took)}"
    return Evidence(
        passed=took is not None and back is not None and not late,
        did=f"froze {' and '.join(guardians)}, looked for orders that add risk, and thawed again",
        saw=f"{lost}; {len(late)} orders sent after {REFUSES_AFTER_S:g} s; guardian {'not ready again' if back is None else 'ready again'}",
        limit=f"no order that adds risk after {REFUSES_AFTER_S:g} s, said and taken back within {SILENCE_WITHIN_S:g} s",
    )


def _adding_risk(system: System, after: int, since_ns: int) -> list[str]:
    """Orders sent later than that."""
    said = ((each.envelope, each.message) for each in system.said(m.OrderSubmitted, after=after))
    return [
        order_id(message)
        for sealed, message in said
        if isinstance(message, m.OrderSubmitted) and sealed.ts_init > since_ns and not message.order.reduce_only
    ]


def _taken_over(system: System, service: str) -> tuple[bool, str]:
    leader = system.leader(service)
    if leader is None:
        return False, f"{service}: nobody leads"
    (other,) = (name for name in system.instances(service) if name != leader)
    with system.frozen(leader):
        took = until(lambda: system.ask_http(other, "/health/ready").get("role") == "leader", TAKES_OVER_WITHIN_S)
    stands_by = until(lambda: system.ask_http(leader, "/health/ready").get("role") == "standby", _LOOK_AGAIN_S)
    if took is None:
        return False, f"{service}: {other} does not lead"
    back = "stands by again" if stands_by is not None else "has not come back as standby"
    return stands_by is not None, f"{service}: {other} leads after {seconds(took)}, {leader} {back}"


def _back(system: System, service: str) -> tuple[bool, str]:
    pid, began = system.services()[service].pid, time.monotonic()
    system.kill(service)
    until(lambda: service in system.services() and system.services()[service].pid != pid, BACK_WITHIN_S)
    new = system.services()[service].pid != pid
    took = until(lambda: new and system.ready(service), max(BACK_WITHIN_S - (time.monotonic() - began), 0.0))
    if took is None:
        return False, f"{service}: not ready again"
    return True, f"{service}: ready after {seconds(time.monotonic() - began)}"


def _steps(system: System, after: int) -> list[int]:
    return [each.message.step for each in system.said(m.RiskStep, after=after) if isinstance(each.message, m.RiskStep)]


def _all_answered(system: System) -> bool:
    """Of a market that pauses: nobody owes it anything."""
    asked, answered = system.newest(m.MarketSlice), system.newest(m.RiskStep)
    return asked is None or (answered is not None and answered.step >= asked.step)


def _sent_twice(system: System) -> list[str]:
    counts = Counter(order_id(each.message) for each in system.said(m.OrderSubmitted))
    return [name for name, count in counts.items() if count > 1]
