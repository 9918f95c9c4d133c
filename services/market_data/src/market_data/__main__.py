"""`python -m market_data`."""

from __future__ import annotations

from common.runtime.service import SourceService, run
from market_data.source import source_of

SERVICE = SourceService("market_data", source_of)

if __name__ == "__main__":
    run(SERVICE)
