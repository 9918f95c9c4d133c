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


def core(config: Config) -> Core:
    """From sections `[execution]` and `[account]`."""
    return Execution(section(config, "execution", Settings), section(config, "account", Account))


def shell(config: Config, environment: Environment) -> Shell:
    """With the journal in PostgreSQL."""
    return ExecutionShell(section(config, "execution", Settings), environment.postgres_dsn())


SERVICE = Service("execution", core, shell)

if __name__ == "__main__":
    run(SERVICE)
