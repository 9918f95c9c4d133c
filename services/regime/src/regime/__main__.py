"""`python -m regime`."""

from __future__ import annotations

from common.core import Core
from common.runtime.service import Config, Service, run
from common.runtime.settings import section
from regime.core import RegimeDetector
from regime.models import load_models
from regime.settings import Settings


def core(config: Config) -> Core:
    """From section `[regime]`. Raises ConfigError."""
    settings = section(config, "regime", Settings)
    return RegimeDetector(settings, load_models(settings.models))


SERVICE = Service("regime", core)

if __name__ == "__main__":
    run(SERVICE)
