"""`ballast bench latency`: from the tick to the order through all services, next to a bare relay of the same messages.

Both run on this machine in one go, on servers of their own with the same settings (every write synced). The system is
measured by the wall-clock stamps of its own envelopes, from the slice to the order the venue hears of; the relay by five
processes that each hand on what they hear, bytes of the same size on the same subjects' pattern.
"""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from ballast_cli.configuration import effective
from ballast_cli.live import up
from ballast_cli.relay import Load, drive
from common.contracts import ALL, pattern
from common.messages.base import Envelope
from common.runtime.codec import decode_envelope
from common.runtime.embedded import EmbeddedServers
from common.runtime.embedded.endpoints import Endpoints
from common.runtime.nats_config import ADMIN, provision_at
from common.runtime.nats_tape import NatsTape
from common.runtime.tape import Record, read_all
from market_data.source import source

# Slices a second: a step is over before the next begins, so that ticks do not wait for each other.
_SPEED: Final = "25"
_STRATEGY: Final = '''
"""In or out at the flip of a digit, so that many steps end in an order: a load, not an idea."""
from common.model.enums import Direction, Tier
from signals.api import Opinion, Strategy, VolState




def decide(ctx):
    side = Direction.LONG if round(ctx.bar.close * 1e5) % 2 else Direction.FLAT
    return Opinion(direction=side, strength=1.0, reason="bench")


strategy = Strategy(
    id="bench_flip",
    tier=Tier.CORE,
    params={state: {} for state in VolState},
    features=lambda params: {},
    decide=decide,
    hold_bars=1000000,
)
'''
_OVERRIDE: Final = """
[market_data]
symbols = ["EUR-USD"]
[signals]
timeframes = ["1m"]
strategies = ["bench_flip"]
strategy_folder = "{folder}"
[portfolio]
min_trade_notional = 0
trade_band = 0
[risk_guardian.limits]
orders_per_minute = 100000
session = "always"
"""


async def latency(steps: int) -> dict[str, Any]:
    """Milliseconds, p50, p99 and p99.9, of system and relay, and the ratio of the two; and of a relay whose messages are
    heard by as many processes as the system's are, which is what the architecture costs on this machine without any work.
    """
    with tempfile.TemporaryDirectory(prefix="ballast-bench-") as folder:
        root = Path(folder)
        system, sizes = await _system(root, steps)
        load = Load(sizes, len(system), 1 / float(_SPEED), crowd=False)
        relay = await _relay(root / "relay", load)
        crowd = await _relay(root / "crowd", load._replace(crowd=True))
    return {
        "samples": len(system),
        "tick_to_order_ms": _quantiles(system),
        "bare_relay_ms": _quantiles(relay),
        "crowded_relay_ms": _quantiles(crowd),
        "ratio_p50": round(float(np.median(system) / np.median(relay)), 2),
        "ratio_p50_crowded": round(float(np.median(system) / np.median(crowd)), 2),
        "bytes_per_hop": sizes,
    }


async def _system(root: Path, steps: int) -> tuple[list[float], list[int]]:
    """Times of the steps that ended in an order, and the mean size of what the stages said."""
    (root / "strategies").mkdir()
    (root / "strategies" / "bench_flip.py").write_text(_STRATEGY)
    (root / "bench.toml").write_text(_OVERRIDE.format(folder=root / "strategies"))
    config = effective("fx", override=root / "bench.toml", data="synthetic:calm:1m", speed=_SPEED)
    config["run"]["end_ns"] = _end_of(config, steps)
    home = root / "home"
    home.mkdir()
    await up(home, config, until_end=True, fresh=True, quiet=True)
    with EmbeddedServers(home) as endpoints:
        envelopes = await _read_all(endpoints)
    return _tick_to_order(envelopes), _sizes(envelopes)


def _end_of(config: dict[str, Any], steps: int) -> int:
    said = next(islice(source(config).steps(0), steps, None))
    return said[-1].ts_event


async def _read_all(endpoints: Endpoints) -> list[tuple[Envelope, int]]:
    tape = await NatsTape.connect(endpoints.login("operator"))
    found: list[tuple[Envelope, int]] = []

    async def keep(record: Record) -> None:
        found.append((decode_envelope(record.payload), len(record.payload)))

    await read_all(tape, [pattern(message) for message in ALL], 1, keep)
    await tape.close()
    return found


def _tick_to_order(envelopes: list[tuple[Envelope, int]]) -> list[float]:
    """From each slice to the first order it made go out, in ms. The first tenth warms up and does not count."""
    started: dict[int, int] = {}
    ended: dict[int, int] = {}
    for envelope, _ in envelopes:
        if envelope.type.startswith("md.slice."):
            started[envelope.ts_event] = envelope.ts_init
        elif envelope.type.startswith("order.submitted."):
            ended.setdefault(envelope.ts_event, envelope.ts_init)
    times = [(ended[ts] - started[ts]) / 1e6 for ts in sorted(ended) if ts in started]
    return times[len(times) // 10 :]


def _sizes(envelopes: list[tuple[Envelope, int]]) -> list[int]:
    """Mean bytes of what travels on each of the five hops."""
    kinds = ("md.slice.", "regime.step.", "signals.step.", "portfolio.step.", "order.approved.")
    return [round(float(np.mean([size for said, size in envelopes if said.type.startswith(kind)]))) for kind in kinds]


async def _relay(home: Path, load: Load) -> list[float]:
    """The same number of hops, each its own process that does nothing but hand on."""
    with EmbeddedServers(home) as endpoints:
        await provision_at(endpoints.login(ADMIN))
        return await drive(endpoints, home, load)


def _quantiles(times: list[float]) -> dict[str, float]:
    return {name: round(float(np.percentile(times, q)), 2) for name, q in (("p50", 50), ("p99", 99), ("p99_9", 99.9))}
