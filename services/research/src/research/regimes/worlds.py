"""The figures of the labelled markets, measured on real prices; a test measures them again where the data is there.

Every drift, volatility and rate is the mean over the instruments of a class, by ex-post labels (`labels`): turning points of
Lunde and Timmermann at 10 daily standard deviations up and 7.5 down (their 20/15 per cent on an index moving 2 % a day),
phases of less than 1.5 times that are sideways; stressed is the top third of realized volatility, centered (5 days of hours,
20 days of days).
"""

from __future__ import annotations

from typing import Final

import msgspec

from common.model.time import NS_PER_DAY, Timeframe

TRENDS: Final = ("bull", "bear", "sideways")
BULL, BEAR, SIDEWAYS = range(3)
# Shares of the shifts into stress that a build-up announces. Real prices do not say how many are: labels after the fact begin
# where volatility rises, with build-ups and without (a test compares them). So both are assumed, and each class is judged twice.
MEMORYLESS: Final = 0.0
ANNOUNCED: Final = 0.8


class Cell(msgspec.Struct, frozen=True):
    """One trend, calm or stressed. Drift a day and volatility in daily standard deviations of the whole series; rates a day:
    into bull, bear, sideways (0 for its own), and from calm to stressed or back.
    """

    drift: float
    sigma: float
    to_trend: tuple[float, float, float]
    flip: float


class World(msgspec.Struct, frozen=True, kw_only=True):
    """`cells` are (calm, stressed) of each of `TRENDS`. `build_up_share` of the shifts into stress are announced by a build-up
    of `build_up_days` on average; the others come out of nothing. `dof` > 2. Profiles are factors by hour of the day.
    """

    name: str
    timeframe: Timeframe
    bars: int
    weekends: bool
    daily_sigma: float
    cells: tuple[tuple[Cell, Cell], ...]
    build_up_share: float
    build_up_days: float
    alpha: float
    beta: float
    dof: float
    volume_elasticity: float
    volume_noise: float
    profile: tuple[float, ...] = ()
    volume_profile: tuple[float, ...] = ()
    source: str = ""

    @property
    def bars_a_day(self) -> int:
        return NS_PER_DAY // self.timeframe.ns


def _by_hour(factors: str) -> tuple[float, ...]:
    return tuple(map(float, factors.split()))


# Root mean square move of each hour of the day (UTC) over that of all, holes in the data left out, and the same of volume.
_CRYPTO_HOURS: Final = _by_hour(
    "1.15 1.02 0.95 0.90 0.88 0.86 0.89 0.90 0.99 0.97 0.97 0.89 "
    "1.08 1.16 1.21 1.13 1.18 0.94 0.92 0.94 1.02 0.96 0.96 1.02"
)
_CRYPTO_VOLUMES: Final = _by_hour(
    "1.25 1.02 0.95 0.89 0.86 0.84 0.91 0.95 1.05 1.01 1.04 1.05 "
    "1.2 1.26 1.34 1.31 1.49 1.11 0.97 0.94 0.95 0.77 0.86 0.97"
)
_FX_HOURS: Final = _by_hour(
    "0.92 0.99 0.76 0.66 0.67 0.70 0.95 1.19 1.29 1.13 1.03 1.05 "
    "1.35 1.32 1.39 1.32 1.01 0.91 0.97 0.86 0.72 0.66 0.72 0.75"
)
_FX_VOLUMES: Final = _by_hour(
    "0.91 0.92 0.76 0.65 0.6 0.69 1.0 1.38 1.46 1.3 1.17 1.19 "
    "1.48 1.7 1.84 1.65 1.23 0.98 0.91 0.85 0.63 0.45 0.53 0.59"
)

CRYPTO: Final = World(
    name="crypto",
    timeframe=Timeframe.H1,
    bars=24 * 365 * 4,
    weekends=True,
    daily_sigma=0.055,
    cells=(
        (Cell(0.105, 0.66, (0.0, 0.003, 0.0), 0.097), Cell(0.378, 1.39, (0.0, 0.0089, 0.0045), 0.195)),
        (Cell(-0.054, 0.67, (0.0007, 0.0, 0.0029), 0.096), Cell(-0.462, 1.51, (0.0107, 0.0, 0.004), 0.182)),
        (Cell(0.153, 0.71, (0.0043, 0.0043, 0.0), 0.155), Cell(0.223, 1.42, (0.0231, 0.0385, 0.0), 0.27)),
    ),
    build_up_share=MEMORYLESS,
    build_up_days=2.0,
    alpha=0.09,
    beta=0.90,
    dof=3.1,
    volume_elasticity=0.77,
    volume_noise=0.80,
    profile=_CRYPTO_HOURS,
    volume_profile=_CRYPTO_VOLUMES,
    source="BTC-USD, ETH-USD (half hours, 2017-2023), LTC-USDT (hours, 2017-2023)",
)
FX: Final = World(
    name="fx",
    timeframe=Timeframe.H1,
    bars=24 * 260 * 6,
    weekends=False,
    daily_sigma=0.0057,
    cells=(
        (Cell(0.097, 0.72, (0.0, 0.0045, 0.0007), 0.113), Cell(0.438, 1.42, (0.0, 0.011, 0.0031), 0.244)),
        (Cell(-0.076, 0.73, (0.0007, 0.0, 0.0015), 0.130), Cell(-0.335, 1.37, (0.0083, 0.0, 0.0083), 0.286)),
        (Cell(0.071, 0.76, (0.0016, 0.0079, 0.0), 0.144), Cell(0.210, 1.25, (0.0122, 0.0196, 0.0), 0.225)),
    ),
    build_up_share=MEMORYLESS,
    build_up_days=2.0,
    alpha=0.12,
    beta=0.80,
    dof=3.9,
    volume_elasticity=0.30,
    volume_noise=0.44,
    profile=_FX_HOURS,
    volume_profile=_FX_VOLUMES,
    source="AUD-USD, EUR-GBP, GBP-USD, USD-JPY (hours, 2013-2020)",
)
EQUITY: Final = World(
    name="equity",
    timeframe=Timeframe.D1,
    bars=252 * 40,
    weekends=False,
    daily_sigma=0.0145,
    cells=(
        (Cell(0.075, 0.59, (0.0, 0.0014, 0.0012), 0.0111), Cell(0.251, 1.33, (0.0, 0.0058, 0.0036), 0.0555)),
        (Cell(-0.053, 0.70, (0.0009, 0.0, 0.0005), 0.0487), Cell(-0.363, 1.55, (0.0104, 0.0, 0.0073), 0.0245)),
        (Cell(0.006, 0.64, (0.0029, 0.0042, 0.0), 0.0248), Cell(0.109, 1.52, (0.0102, 0.0149, 0.0), 0.0339)),
    ),
    build_up_share=MEMORYLESS,
    build_up_days=2.0,
    alpha=0.04,
    beta=0.93,
    dof=9.0,
    volume_elasticity=0.30,
    volume_noise=0.50,
    source="SPY and nine sector funds (days, 2000-2018)",
)


def _both(world: World) -> tuple[World, World]:
    return world, msgspec.structs.replace(world, name=f"{world.name}-announced", build_up_share=ANNOUNCED)


WORLDS: Final = {world.name: world for base in (CRYPTO, FX, EQUITY) for world in _both(base)}
TUNING_SEEDS: Final = tuple(range(1, 7))
EVALUATION_SEEDS: Final = tuple(range(201, 211))
