"""Makes the streams of the tape, or brings them to what this build expects. Run once before the services."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from common.errors import BallastError
from common.runtime import environment, nats_config

if __name__ == "__main__":
    try:
        password = environment.read_secret(Path(os.environ[environment.NATS_PASSWORD_FILE]))
        asyncio.run(nats_config.provision_at(os.environ[environment.NATS_URL], password))
    except BallastError as error:
        sys.exit(str(error))
