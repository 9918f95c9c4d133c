"""`python -m portfolio`."""

from __future__ import annotations

from common.core import Core
from common.model.account import Account
from common.runtime.service import Config, Service, run
from common.runtime.settings import section
from portfolio.core import Portfolio
from portfolio.settings import Settings


def core(config: Config) -> Core:
    """From sections `[portfolio]` and `[account]`."""
    return Portfolio(section(config, "portfolio", Settings), section(config, "account", Account))


SERVICE = Service("portfolio", core)

if __name__ == "__main__":
    run(SERVICE)
