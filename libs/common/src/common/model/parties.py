"""Who stands on an order instead of a strategy: names that services agree on, so each is written once."""

from __future__ import annotations

from typing import Final

BOOK: Final = "book"  # the portfolio's orders: the strategies behind them are in its targets
MANUAL: Final = "manual"  # what people order
GUARDIAN: Final = "risk_guardian"  # its own orders, which only reduce
