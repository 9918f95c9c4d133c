"""Does one fault after the other to a running system and waits for the webhook."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from tests.alerting.faults import Fault
from tests.alerting.watchmen import ESCALATE_AFTER_S, Watchmen
from tests.alerting.webhook import Webhook
from tests.support.system import System, until

from common.messages import Message, RiskStep
from common.model.time import NS_PER_SECOND
from common.runtime.supervisor import Status

RESOLVED_WITHIN_S: Final = 150.0  # counters are looked at over minutes
SPEED: Final = ("--from", "2007-01-01", "--speed", "5")


class Watched:
    """A system, those who watch it, and the webhook."""

    def __init__(self, system: System, watchmen: Watchmen, webhook: Webhook) -> None:
        self.system = system
        self.watchmen = watchmen
        self.webhook = webhook


@contextmanager
def watched(home: Path, config: str = "", escalate_after_s: int = ESCALATE_AFTER_S) -> Iterator[Watched]:
    """A system that trades the built-in prices, scraped, with no alert but the watchdog unless `config` is a fault."""
    arguments = list(SPEED)
    if config:
        (home / "fault.toml").write_text(config)
        arguments += ["--config", str(home / "fault.toml")]
    with ExitStack() as stack:
        webhook = stack.enter_context(Webhook())
        system = stack.enter_context(System(home, *arguments))
        until(lambda: len(system.said(RiskStep)) > 3, "steps are taken")
        watchmen = stack.enter_context(Watchmen(_targets(home), webhook, escalate_after_s))
        until(lambda: webhook.heard("Watchdog", "watchdog") is not None, "the watchdog is heard")
        until(lambda: len(watchmen.query('up{job="ballast"} == 1')) == len(_targets(home)), "everything is scraped")
        yield Watched(system, watchmen, webhook)


def drill(watched: Watched, fault: Fault) -> float:
    """Seconds from the fault to the webhook."""
    webhook = watched.webhook
    began = time.monotonic()
    fault.do(watched.system)
    if fault.did is not None:
        began = _since(watched.system, fault.did)
    try:
        what = f"{fault.alert} is told after: {fault.name}"
        until(lambda: webhook.heard(fault.alert, since=began) is not None, what, fault.within_s)
        told = webhook.heard(fault.alert, since=began)
        assert told is not None
    finally:
        if fault.undo:
            fault.undo(watched.system)
    if fault.undo:
        over = f"{fault.alert} is over"
        until(lambda: fault.alert not in watched.watchmen.firing(), over, RESOLVED_WITHIN_S)
    return told.at - began


def drills(home: Path, faults: Iterable[Fault]) -> Iterator[dict[str, Any]]:
    """The figures of each, as they come. Faults that share a configuration share a system."""
    by_config = sorted(faults, key=lambda fault: fault.config)
    for config, group in itertools.groupby(by_config, key=lambda fault: fault.config):
        place = home / f"system-{len(config)}"
        place.mkdir()
        with watched(place, config) as made:
            for fault in group:
                yield {"fault": fault.name, "alert": fault.alert, "seconds": _measured(made, fault)}


def _measured(made: Watched, fault: Fault) -> float | None:
    try:
        return round(drill(made, fault), 1)
    except AssertionError:
        return None


def _since(system: System, kind: type[Message]) -> float:
    """When the first message of a kind was said, on the monotonic clock."""
    said = next(envelope.ts_init for _, envelope, message in system.tape() if isinstance(message, kind))
    return time.monotonic() - (time.time() - said / NS_PER_SECOND)


def _targets(home: Path) -> dict[str, str]:
    status = Status.load(home)
    assert status is not None
    return {name: f"127.0.0.1:{process.http_port}" for name, process in status.processes.items() if process.http_port}
