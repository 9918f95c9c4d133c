"""`python -m execution`."""

from __future__ import annotations

from common.core import Core
from common.model.account import Account
from common.runtime.environment import Environment
from common.runtime.service import Config, Service, Shell, run
from common.runtime.settings import section
from execution.core import Execution
from execution.settings import Settings
from execution.shell import ExecutionShell
from execution.tape_loss import TapeLoss


def core(config: Config) -> Core:
    """From sections `[execution]` and `[account]`."""
    return Execution(section(config, "execution", Settings), section(config, "account", Account))


def shell(config: Config, environment: Environment) -> Shell:
    """With the journal in PostgreSQL. Raises ConfigError for a venue that is not allowed."""
    return ExecutionShell(section(config, "execution", Settings), environment.postgres_dsn(), TAPE_LOSS)


TAPE_LOSS = TapeLoss()
SERVICE = Service("execution", core, shell)

if __name__ == "__main__":
    run(SERVICE)
