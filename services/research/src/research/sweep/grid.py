"""The file that lists configurations: symbols x timeframes x sets of parameters, and what each one comes to."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from common.errors import ConfigError
from common.model.enums import Tier, VolState
from common.model.time import Timeframe
from portfolio.settings import Settings as PortfolioSettings
from signals.api import Strategy
from signals.loader import SHIPPED, load_file
from signals.settings import Settings as SignalsSettings

BUNDLED: Final = Path(__file__).parent / "sig02.toml"
_MOST: Final = 100_000

_VARIANTS: Final = ("stop_fraction", "confirmations", "hold_factor", "risk_per_trade")

Number = float | int


class Set(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `[[set]]`: one strategy. A list of values of a parameter stands for one configuration each; parameters that are not named
    keep those of normal volatility. `symbols` and `timeframes` narrow or replace those of the file.
    """

    strategy: str
    params: dict[str, Number | list[Number]] = msgspec.field(default_factory=dict)
    symbols: tuple[str, ...] | None = None
    timeframes: tuple[str, ...] | None = None
    stop_fraction: Annotated[float, Meta(gt=0, lt=1)] | None = None
    confirmations: Annotated[int, Meta(ge=1, le=50)] | None = None
    hold_factor: Annotated[float, Meta(gt=0, le=10)] | None = None
    risk_per_trade: Annotated[float, Meta(gt=0, le=0.1)] | None = None


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to try. `risk` is the fraction of equity lost at the stop."""

    symbol: str
    timeframe: Timeframe
    strategy: str
    params: dict[str, Number]
    tier: Tier
    stop_fraction: float
    confirmations: int
    longest: int
    risk: float
    variant: str = ""  # what its set says beside the parameters

    @property
    def name(self) -> str:
        """Unique in its grid, readable."""
        numbers = ", ".join(f"{key}={value:g}" for key, value in self.params.items())
        return f"{self.symbol} {self.timeframe} {self.strategy}({numbers}{self.variant})"


class Refused(msgspec.Struct, frozen=True):
    """A configuration, or a whole set, that cannot run: where it stands and why."""

    where: str
    reason: str


class Grid(msgspec.Struct, frozen=True):
    """What a file amounts to for a profile."""

    name: str
    configurations: tuple[Configuration, ...]
    refused: tuple[Refused, ...]


@cache
def shipped() -> Mapping[str, Strategy]:
    """The ten strategies by id; a sweep has no kernel for the optional ones."""
    return {name: strategy for name, strategy in _all_shipped().items() if not strategy.optional}


@cache
def _all_shipped() -> Mapping[str, Strategy]:
    files = (path for path in sorted(SHIPPED.glob("*.py")) if not path.name.startswith("_"))
    return {strategy.id: strategy for strategy in map(load_file, files)}


def load(path: Path, config: Mapping[str, Any]) -> Grid:
    """The grid of a file; stops, confirmations, holding times and risk that it does not name are those of `config` in normal
    volatility. A set or value that is wrong is refused and costs nothing else; ConfigError for a file that is no grid.
    """
    try:
        plain = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"--grid {path}: {error}; expected a TOML file with tables [[set]]") from error
    sets = plain.get("set")
    unknown = sorted(set(plain) - {"name", "symbols", "timeframes", "set"})
    if not isinstance(sets, list) or not sets or unknown:
        have = f"unknown {', '.join(unknown)}" if unknown else "no [[set]]"
        raise ConfigError(f"{path}: {have}; expected name, symbols, timeframes and at least one [[set]]")
    defaults = _Defaults(_names(path, plain, "symbols"), _names(path, plain, "timeframes"), config)
    good: dict[str, Configuration] = {}
    refused: list[Refused] = []
    for number, table in enumerate(sets, start=1):
        where = f"{path.name}: set {number}"
        for found in _of_set(where, table, defaults):
            if isinstance(found, Refused):
                refused.append(found)
            elif found.name in good:
                refused.append(Refused(where, f"{found.name} is there already; expected it once"))
            else:
                good[found.name] = found
            if len(good) > _MOST:
                raise ConfigError(f"{path}: set {number} makes more than {_MOST:,} configurations; expected fewer")
    return Grid(str(plain.get("name", path.stem)), tuple(good.values()), tuple(refused))


def one(
    symbol: str, timeframe: Timeframe, strategy: str, params: Mapping[str, Number], config: Mapping[str, Any]
) -> Configuration:
    """A single configuration of a profile. Raises ConfigError."""
    table = {"strategy": strategy, "params": dict(params), "symbols": [symbol], "timeframes": [timeframe]}
    (found,) = _of_set("configuration", table, _Defaults((), (), config))
    if isinstance(found, Refused):
        raise ConfigError(f"{found.where}: {found.reason}")
    return found


class _Defaults:
    def __init__(self, symbols: Sequence[str], timeframes: Sequence[str], config: Mapping[str, Any]) -> None:
        self.symbols, self.timeframes = symbols, timeframes
        signals = msgspec.convert(config.get("signals", {}), SignalsSettings)
        self.normal = signals.condition(VolState.NORMAL)
        self.portfolio = msgspec.convert(config.get("portfolio", {}), PortfolioSettings)


def _names(path: Path, plain: Mapping[str, Any], key: str) -> Sequence[str]:
    names = plain.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{path}: {key} = {names!r}; expected a list of texts")
    return names


def _of_set(where: str, table: Any, defaults: _Defaults) -> Iterator[Configuration | Refused]:
    try:
        one = msgspec.convert(table, Set)
    except msgspec.ValidationError as error:
        yield Refused(where, f"{error}; have {table!r}")
        return
    strategy = shipped().get(one.strategy)
    if strategy is None:
        also = ": it is optional, which `ballast optimize` can search" if one.strategy in _all_shipped() else ""
        expected = ", ".join(sorted(shipped()))
        yield Refused(where, f"strategy = {one.strategy!r}{also}; expected one of {expected}")
        return
    known = used(strategy)
    for key in sorted(set(one.params) - set(known)):
        yield Refused(where, f"params.{key} = {one.params[key]!r}; {one.strategy} has {', '.join(known)}")
        return
    symbols = defaults.symbols if one.symbols is None else one.symbols
    timeframes = defaults.timeframes if one.timeframes is None else one.timeframes
    if not symbols or not timeframes:
        yield Refused(
            where, f"symbols = {list(symbols)}, timeframes = {list(timeframes)}; expected at least one of each"
        )
        return
    values = [value if isinstance(value := one.params.get(key, known[key]), list) else [value] for key in known]
    good = []
    for chosen in product(*values):
        params = dict(zip(known, chosen, strict=True))
        if reason := wrong(strategy, params):
            yield Refused(where, reason)
        else:
            good.append(params)
    for symbol, spelled in product(symbols, timeframes):
        try:
            timeframe = Timeframe(spelled)
        except ValueError:
            yield Refused(where, f"timeframes: {spelled!r}; expected some of {', '.join(Timeframe)}")
            continue
        for params in good:
            yield _configuration(one, strategy, symbol, timeframe, params, defaults)


def used(strategy: Strategy) -> dict[str, Number]:
    """The parameters that make a difference, with their values in normal volatility: not each strategy looks at both periods of
    its table.
    """
    asked: set[str] = {"width"}

    class Asked(dict[str, Number]):
        def __getitem__(self, key: str) -> Number:
            asked.add(key)
            return super().__getitem__(key)

    normal = strategy.params[VolState.NORMAL]
    strategy.features(Asked(normal))
    return {key: value for key, value in normal.items() if key in asked}


def wrong(strategy: Strategy, params: Mapping[str, Number]) -> str:
    """Why the strategy cannot run with these parameters; empty where it can."""
    for key, value in params.items():
        if not 0 < value < float("inf"):
            return f"params.{key} = {value!r}; expected a number above 0"
    if "fast" in params and params["fast"] >= params.get("slow", float("inf")):
        return f"params.fast = {params['fast']!r}; expected less than slow = {params['slow']!r}"
    try:
        strategy.features(params)
    except ValueError as error:
        return f"params {dict(params)}: {error}"
    return ""


def _configuration(
    one: Set, strategy: Strategy, symbol: str, timeframe: Timeframe, params: dict[str, Number], defaults: _Defaults
) -> Configuration:
    normal, portfolio = defaults.normal, defaults.portfolio
    per_trade = one.risk_per_trade or portfolio.risk_per_trade
    hold = one.hold_factor or normal.hold_factor
    return Configuration(
        symbol=symbol,
        timeframe=timeframe,
        strategy=strategy.id,
        params=params,
        tier=strategy.tier,
        stop_fraction=one.stop_fraction or normal.stop_fraction,
        confirmations=one.confirmations or normal.confirmations,
        longest=max(1, round(strategy.hold_bars * hold)),
        variant="".join(f"; {key}={value:g}" for key in _VARIANTS if (value := getattr(one, key)) is not None),
        risk=portfolio.allocation.get(strategy.tier, 0.0)
        * min(per_trade, portfolio.max_total_risk)
        * normal.size_factor,
    )
