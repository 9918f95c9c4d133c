"""`python -m market_data`."""

from __future__ import annotations

from common.runtime.service import SourceService, run
from market_data.source import source

SERVICE = SourceService("market_data", source)

if __name__ == "__main__":
    run(SERVICE)
