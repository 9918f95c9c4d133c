"""`python -m risk_guardian`."""

from __future__ import annotations

from common.core import Core
from common.model.account import Account
from common.runtime.environment import Environment
from common.runtime.service import Config, Service, Shell, run
from common.runtime.settings import section
from risk_guardian import scenarios
from risk_guardian.core import RiskGuardian
from risk_guardian.gauges import Gauges
from risk_guardian.settings import Settings
from risk_guardian.shell import GuardianShell, obey_signals


def core(config: Config) -> Core:
    """From sections `[risk_guardian]` and `[account]`, with the stress scenarios that ship and the user's own."""
    settings = section(config, "risk_guardian", Settings)
    return RiskGuardian(settings, section(config, "account", Account), scenarios.load(settings.scenarios_dir))


def shell(config: Config, environment: Environment) -> Shell:
    """With an eye on the stop file."""
    return GuardianShell(
        environment.home, Gauges(section(config, "risk_guardian", Settings), section(config, "account", Account))
    )


SERVICE = Service("risk_guardian", core, shell)

if __name__ == "__main__":
    obey_signals()
    run(SERVICE)
