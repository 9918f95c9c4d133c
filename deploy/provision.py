"""Makes the streams of the tape, or brings them to what this build expects. Run once before the services."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import nats

from common.runtime import environment, nats_config


async def main() -> None:
    client = await nats.connect(
        os.environ[environment.NATS_URL],
        user=nats_config.ADMIN,
        password=environment.read_secret(Path(os.environ[environment.NATS_PASSWORD_FILE])),
        inbox_prefix=nats_config.inbox_prefix(nats_config.ADMIN).encode(),
        allow_reconnect=False,
    )
    await nats_config.provision(client)
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())
