"""Stress scenarios as data (RSK-10): one TOML file each, in `scenarios/` here and in a folder of the user's.

    description = "Bitcoin halves"
    limit = 0.25                    # optional: orders that would lose more than this are refused; a fraction of equity

    [[shocks]]                      # the first that fits an instrument counts
    base = ["BTC"]                  # or instruments = ["BTC-*"], quote = [...], asset_class = "CRYPTO"; all that is said must fit
    move = -0.5                     # of the price; or against = 0.1: a loss whatever side is held

    [currencies]                    # for pairs that no shock fits: change of a currency's worth in dollars
    ETH = -0.6

    [default.CRYPTO]                # for the rest, by asset class
    move = -0.5

`both_ways = true` takes the worse of the moves and their opposites. `[joint]` moves everything held against the book at once.
`[venue]` fails each venue in turn and takes the worst.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final

import msgspec

from common.errors import ConfigError
from common.model.enums import AssetClass
from common.model.instrument import Instrument
from common.model.money import DOLLARS

SHIPPED: Final = Path(__file__).parent / "scenarios"
Move = Annotated[float, msgspec.Meta(ge=-1, le=10)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`move` of the price, -0.5 halves it; or `against`, the share lost whatever side is held."""

    move: Move | None = None
    against: Share | None = None

    def __post_init__(self) -> None:
        if (self.move is None) == (self.against is None):
            raise ValueError("Expected one of `move` and `against`")


class Shock(Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`instruments` are patterns with `*` and `?` on the instrument id."""

    instruments: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    quote: tuple[str, ...] = ()
    asset_class: AssetClass | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.instruments or self.base or self.quote or self.asset_class):
            raise ValueError(
                "Expected `instruments`, `base`, `quote` or `asset_class`; for the rest there is [default]"
            )

    def fits(self, instrument: Instrument) -> bool:
        return (
            (not self.instruments or any(fnmatchcase(instrument.instrument_id, each) for each in self.instruments))
            and (not self.base or instrument.base in self.base)
            and (not self.quote or instrument.quote in self.quote)
            and self.asset_class in {None, instrument.asset_class}
        )


class Joint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every position moves `sigmas` of its own daily deviations against the book; the losses correlate. `sigma` is the deviation
    of what has too short a history to tell.
    """

    sigmas: Annotated[float, msgspec.Meta(gt=0, le=100)]
    correlation: Share
    sigma: dict[AssetClass, Share] = msgspec.field(default_factory=dict)


class VenueFailure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What lies at a venue comes back only to the share `recovery`. `venues` are patterns."""

    recovery: Share
    venues: tuple[str, ...] = ("*",)


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See the head of the file."""

    description: str
    limit: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    both_ways: bool = False
    shocks: tuple[Shock, ...] = ()
    currencies: dict[str, Move] = msgspec.field(default_factory=dict)
    default: dict[AssetClass, Change] = msgspec.field(default_factory=dict)
    joint: Joint | None = None
    venue: VenueFailure | None = None

    def __post_init__(self) -> None:
        if not (self.shocks or self.currencies or self.default or self.joint or self.venue):
            raise ValueError("Expected at least one of `shocks`, `currencies`, `default`, `joint` and `venue`")

    def move(self, instrument: Instrument, account_currency: str) -> tuple[float, float]:
        """(signed, against): what a position gains by the first, times its signed value, and loses by the second, times its
        absolute value.
        """
        for shock in self.shocks:
            if shock.fits(instrument):
                return _signed_and_against(shock)
        base, quote = self._worth(instrument.base), self._worth(instrument.quote)
        if base is not None and quote is not None and {instrument.base, instrument.quote} & self.currencies.keys():
            # Both legs are revalued, and the result is counted in an account currency that may have moved itself.
            return (base - quote) / (1.0 + (self._worth(account_currency) or 0.0)), 0.0
        change = self.default.get(instrument.asset_class)
        return _signed_and_against(change) if change else (0.0, 0.0)

    def _worth(self, currency: str) -> float | None:
        return self.currencies.get(currency, 0.0 if currency in DOLLARS else None)


def _signed_and_against(change: Change) -> tuple[float, float]:
    return change.move or 0.0, change.against or 0.0


def load(folder: str = "") -> dict[str, Scenario]:
    """Scenarios by the stem of their file, sorted; those of `folder` after those that ship, and instead of one of the same name.

    Raises ConfigError naming file, key and expectation.
    """
    found = {path.stem: read(path) for path in sorted(SHIPPED.glob("*.toml"))}
    if folder:
        own = Path(folder)
        if not own.is_dir():
            raise ConfigError(f"risk_guardian.scenarios_dir = {folder!r}: expected a folder")
        found |= {path.stem: read(path) for path in sorted(own.glob("*.toml"))}
    return found


def read(path: Path) -> Scenario:
    """One file. Raises ConfigError."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Scenario)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except msgspec.ValidationError as error:
        expected, _, where = str(error).partition(" - at ")
        key = where.strip("`").removeprefix("$").removeprefix(".")
        raise ConfigError(f"{path}: {key}: {expected}" if key else f"{path}: {expected}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
