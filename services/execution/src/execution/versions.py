"""Whether everybody who has a part in a decision was built alike (docs/adr/0013). Compared on the tape: a replay by another build
decides as it was decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from common.contracts import DECIDING
from common.messages.control import ServiceStarted
from common.model.parties import GUARDIAN
from execution.context import Context
from execution.state import Version

_OURSELVES: Final = "execution"


def on_started(ctx: Context, message: ServiceStarted) -> None:
    """A service speaks anew, perhaps from other code."""
    state = ctx.state
    if message.service in DECIDING:
        state.versions[message.service] = Version(build=message.build, contracts=message.contracts)
        state.mixed = mixed(state.versions)


def mixed(versions: Mapping[str, Version]) -> str:
    """Who differs from us, and how; empty when nobody does. Where nobody says what he is, as in a backtest, nobody differs; once
    we have, the guardian must too.
    """
    ours = versions.get(_OURSELVES)
    if ours is None:
        return ""
    others = {name: versions.get(name) for name in DECIDING}
    odd = [f"{name} is {version}" for name, version in others.items() if version not in (None, ours)]
    if others[GUARDIAN] is None:
        odd.append(f"{GUARDIAN} has not said what it is")
    return f"{', '.join(odd)}; execution is {ours}" if odd else ""
