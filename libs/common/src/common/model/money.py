"""Value of one currency in another, from the prices at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from common.model.instrument import Instrument

ZERO = Decimal(0)
ONE = Decimal(1)
# US dollar stablecoins count as dollars: their depeg is a stress scenario, not an exchange rate.
DOLLARS = frozenset({"USD", "USDT", "USDC", "BUSD", "DAI"})


class Conversion:
    """Rates into the account currency from direct (GBP-USD) or inverse (USD-JPY) instruments."""

    def __init__(self, account_currency: str, instruments: Iterable[Instrument]) -> None:
        self._account = account_currency
        self._route: dict[str, tuple[str, bool]] = {}
        for instrument in instruments:
            if self._is_account(instrument.quote):
                self._route.setdefault(instrument.base, (instrument.instrument_id, False))
            elif self._is_account(instrument.base):
                self._route.setdefault(instrument.quote, (instrument.instrument_id, True))

    def rate(self, currency: str, last_px: Mapping[str, Decimal]) -> Decimal | None:
        """Account-currency value of one unit of `currency`; None where no price gives it."""
        if self._is_account(currency):
            return ONE
        route = self._route.get(currency)
        if route is None:
            return None
        px = last_px.get(route[0])
        if px is None or px <= 0:
            return None
        return ONE / px if route[1] else px

    def _is_account(self, currency: str) -> bool:
        return currency == self._account or (self._account == "USD" and currency in DOLLARS)
