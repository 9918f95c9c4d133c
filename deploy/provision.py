"""Makes the streams of the tape, or brings them to what this build expects. Run once before the services.

Told like a service, as far as it needs it: BALLAST_NATS_URL, BALLAST_NATS_SEED_FILE (of `admin`), where NATS speaks TLS
BALLAST_NATS_CA_FILE, and BALLAST_NATS_REPLICAS: on how many servers of a cluster each stream is kept, default 1.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from common.errors import BallastError, ConfigError
from common.runtime import nats_config
from common.runtime.environment import NATS_CA_FILE, NATS_SEED_FILE, NATS_URL
from common.runtime.login import Login, read_seed

REPLICAS: Final = "BALLAST_NATS_REPLICAS"
POSSIBLE: Final = ("1", "3", "5")


def _login() -> Login:
    for name in (NATS_URL, NATS_SEED_FILE):
        if not os.environ.get(name):
            raise ConfigError(f"{name}: not set")
    ca = os.environ.get(NATS_CA_FILE)
    seed = read_seed(Path(os.environ[NATS_SEED_FILE]))
    return Login(os.environ[NATS_URL], nats_config.ADMIN, seed, Path(ca) if ca else None)


def _replicas() -> int:
    text = os.environ.get(REPLICAS) or "1"
    if text not in POSSIBLE:
        raise ConfigError(f"{REPLICAS} = {text!r}: expected one of {', '.join(POSSIBLE)}")
    return int(text)


if __name__ == "__main__":
    try:
        asyncio.run(nats_config.provision_at(_login(), _replicas()))
    except BallastError as error:
        sys.exit(str(error))
