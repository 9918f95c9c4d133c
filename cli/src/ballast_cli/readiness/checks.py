"""All checks, in the order in which they are done: what only looks comes first, what kills comes last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from ballast_cli.readiness.alerts import in_band, webhook
from ballast_cli.readiness.books import reconciliation
from ballast_cli.readiness.evidence import Evidence
from ballast_cli.readiness.failover import dead_mans_switch, failover
from ballast_cli.readiness.keeping import backup_and_restore
from ballast_cli.readiness.machine import clock, disk, secret_files
from ballast_cli.readiness.permissions import permissions
from ballast_cli.readiness.services import dead_letters, healthy, market_moves, one_build
from ballast_cli.readiness.system import System
from ballast_cli.readiness.trading import halt, limit_breach, resume


class Check(NamedTuple):
    """A `disruptive` one disturbs trading, and is done only when that was asked for."""

    name: str
    title: str
    run: Callable[[System], Evidence]
    disruptive: bool = False


CHECKS: Final = (
    Check("services", "Every service is ready", healthy),
    Check("build", "One build, one set of contracts", one_build),
    Check("market", "Market data moves", market_moves),
    Check("clock", "Clocks agree", clock),
    Check("disk", "Room on the disk", disk),
    Check("secrets", "Secrets are the owner's alone", secret_files),
    Check("dead-letters", "No dead letters", dead_letters),
    Check("reconciliation", "The books agree", reconciliation),
    Check("permissions", "Nobody says what is another's", permissions),
    Check("limit", "An order beyond a limit is denied", limit_breach),
    Check("alert", "An alert is raised and acknowledged", in_band),
    Check("webhook", "An alert reaches the webhook", webhook),
    Check("backup", "A backup can be restored", backup_and_restore),
    Check("halt", "A halt stops all orders", halt, disruptive=True),
    Check("resume", "Trading goes on after a halt", resume, disruptive=True),
    Check("dead-man", "A silent guardian stops execution", dead_mans_switch, disruptive=True),
    Check("failover", "Who dies is replaced", failover, disruptive=True),
)
