"""`python -m regime`."""

from __future__ import annotations

from common.core import Core
from common.runtime.service import Config, Service, run
from common.runtime.settings import section
from regime.core import RegimeDetector
from regime.settings import Settings


def core(config: Config) -> Core:
    """From section `[regime]`."""
    return RegimeDetector(section(config, "regime", Settings))


SERVICE = Service("regime", core)

if __name__ == "__main__":
    run(SERVICE)
