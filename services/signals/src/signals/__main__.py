"""`python -m signals`."""

from __future__ import annotations

from common.core import Core
from common.runtime.service import Config, Service, run
from common.runtime.settings import section
from signals.core import Signals
from signals.loader import load_strategies
from signals.settings import Settings


def core(config: Config) -> Core:
    """From section `[signals]`, with the shipped strategies and the user's own."""
    settings = section(config, "signals", Settings)
    return Signals(settings, load_strategies(settings))


SERVICE = Service("signals", core)

if __name__ == "__main__":
    run(SERVICE)
