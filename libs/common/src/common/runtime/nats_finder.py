"""Which server of a cluster to talk to: one that answers. A frozen server still accepts connections, and nats-py would wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit

_DEFAULT_PORT = 4222


async def first_to_answer(urls: Sequence[str], timeout_s: float) -> str:
    """The URL of the server that greets first; the first URL where none does, or there is only one."""
    if len(urls) == 1:
        return urls[0]
    greetings = {asyncio.create_task(_greeted(url)): url for url in urls}
    try:
        async with asyncio.timeout(timeout_s):
            for greeting in asyncio.as_completed(greetings):
                if url := await greeting:
                    return url
    except TimeoutError:
        pass
    finally:
        for task in greetings:
            task.cancel()
        await asyncio.gather(*greetings, return_exceptions=True)
    return urls[0]


async def _greeted(url: str) -> str:
    """The URL itself; "" if nobody listens there."""
    place = urlsplit(url)
    try:
        reader, writer = await asyncio.open_connection(place.hostname, place.port or _DEFAULT_PORT)
    except OSError:
        return ""
    try:
        return url if (await reader.readline()).startswith(b"INFO") else ""
    except OSError:
        return ""
    finally:
        writer.close()
