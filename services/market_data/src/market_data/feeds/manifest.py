"""An optional `manifest.toml` beside data files: what their names do not say.

[files."prices.csv"]
symbol = "EUR-USD"
timeframe = "1h"
venue = "MYBROKER"
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Final

import msgspec

from common.errors import DataError
from common.model.enums import AssetClass
from common.model.time import Timeframe
from market_data.feeds.kinds import Kind

NAME: Final = "manifest.toml"


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a manifest may say about a file; None leaves it to the file's name and columns."""

    symbol: Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9-]+$")] | None = None
    venue: Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9-]+$")] | None = None
    timeframe: Timeframe | None = None
    kind: Kind | None = None
    asset_class: AssetClass | None = None
    adjusted: bool = False  # for splits and dividends already


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    files: dict[str, Entry] = msgspec.field(default_factory=dict)


def read(directory: Path) -> dict[str, Entry]:
    """Entries by file name; empty without a manifest. Raises DataError for one that is wrong or names an absent file."""
    path = directory / NAME
    if not path.exists():
        return {}
    try:
        entries = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _Manifest).files
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise DataError(f"{path}: {error}") from None
    for name in entries:
        if not (directory / name).is_file():
            raise DataError(f"{path}: names {name!r}, which is not in the directory")
    return entries
