"""`python -m risk_guardian`."""

from __future__ import annotations

from common.core import Core
from common.model.account import Account
from common.runtime.service import Config, Service, run
from common.runtime.settings import section
from risk_guardian.core import RiskGuardian
from risk_guardian.settings import Settings


def core(config: Config) -> Core:
    """From sections `[risk_guardian]` and `[account]`."""
    return RiskGuardian(section(config, "risk_guardian", Settings), section(config, "account", Account))


SERVICE = Service("risk_guardian", core)

if __name__ == "__main__":
    run(SERVICE)
