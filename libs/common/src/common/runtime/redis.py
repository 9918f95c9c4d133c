"""Access to Redis, and where in it the hot state lies.

The recorder writes the hot state and everybody else reads it: hashes of JSON values, a copy of PostgreSQL's table
`hot_state`. It says how things are, never how they were, and nothing that stops trading depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from common.errors import BallastError, ConfigError

PREFIX: Final = "ballast:hot:"

# Hashes, and what a field of each one is.
PRICES: Final = "prices"  # instrument: its last price
REGIMES: Final = "regimes"  # instrument|timeframe: the last reading
MODELS: Final = "models"  # instrument|timeframe: what the fitted models said last
FEEDS: Final = "feeds"  # instrument|feed: how it was last
OVERRIDES: Final = "overrides"  # instrument, empty for all: the regime last set or lifted by hand
SIGNALS: Final = "signals"  # strategy|instrument|timeframe: the last opinion
LADDERS: Final = "ladders"  # ladder: where it stands
BOOK: Final = "book"  # run, instruments, execution, portfolio, risk, trading_state, market, ended
TAPE: Final = "tape"  # seq and ts_event of the newest message that is in here
HASHES: Final = (PRICES, REGIMES, MODELS, FEEDS, OVERRIDES, SIGNALS, LADDERS, BOOK, TAPE)


class RedisError(BallastError):
    """Redis is out of reach, full, or refuses the login."""


def key(hash_name: str) -> str:
    """The Redis key of one of HASHES."""
    return PREFIX + hash_name


def client(url: str, *, timeout_s: float = 2.0) -> redis.asyncio.Redis:
    """Connects at the first command; never retries by itself, so that a caller can say what is wrong while it waits.

    Raises ConfigError for what is not a URL.
    """
    try:
        return redis.asyncio.Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
    except ValueError as error:
        raise ConfigError(f"the URL of Redis: {error}") from None


@contextmanager
def plainly() -> Iterator[None]:
    """What goes wrong inside the block becomes RedisError."""
    try:
        yield
    except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
        raise RedisError(f"Redis: {str(error) or type(error).__name__}") from error
