"""Names and master data of instruments, by rule: what a file name cannot say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from math import floor, isfinite, log10
from typing import Final

import msgspec

from common.model.enums import AssetClass
from common.model.instrument import Instrument

# ISO 4217 codes that trade against one another, and metals that are quoted like them.
CURRENCIES: Final = frozenset(
    "AUD BRL CAD CHF CNH CNY CZK DKK EUR GBP HKD HUF IDR ILS INR JPY KRW MXN MYR NOK NZD "  # noqa: SIM905 - words
    "PHP PLN RON SEK SGD THB TRY USD XAG XAU ZAR".split()
)
COINS: Final = frozenset(
    "AAVE ADA ALGO APT ARB ATOM AVAX BCH BNB BTC DAI DOGE DOT EOS ETC ETH FIL FTM ICP LINK "  # noqa: SIM905 - words
    "LTC MATIC NEAR OP SAND SHIB SOL SUI TRX UNI USDC USDT VET XLM XMR XRP".split()
)
CRYPTO_QUOTES: Final = ("USDT", "USDC", "BUSD", "USD", "EUR", "GBP", "JPY", "BTC", "ETH")
STABLECOINS: Final = ("USDT", "USDC", "BUSD")
LONGEST_TICKER: Final = 5
PERPETUAL: Final = "PERP"


class Symbol(msgspec.Struct, frozen=True):
    """`name` is what `instrument_id` begins with: EUR-USD, BTC-USDT, BTC-PERP, AAPL."""

    name: str
    base: str
    quote: str
    asset_class: AssetClass


def parse_symbol(text: str) -> Symbol | None:
    """The symbol that `text` spells: EURUSD, EUR_USD, eur-usd, BTCUSDT, BTC-PERP, BTC-USDT-PERP, AAPL. None where it spells none.

    Pairs may be in lower case, tickers must not be: `daily` is no company.
    """
    base, separator, quote = text.upper().replace("_", "-").replace("/", "-").partition("-")
    pair, contract, _ = quote.partition(f"-{PERPETUAL}")
    if contract:
        found = _pair(base, pair)
        return perpetual(found) if found and quote == pair + contract else None
    if separator:
        return _pair(base, "USD", f"{base}-{PERPETUAL}") if quote == PERPETUAL else _pair(base, quote)
    for split in range(2, len(base) - 2):
        if found := _pair(base[:split], base[split:]):
            return found
    if text.isalnum() and text.isascii() and text[0].isalpha() and text == base:
        return Symbol(text, text, "USD", AssetClass.EQUITY)
    return None


def perpetual(symbol: Symbol) -> Symbol:
    """The perpetual contract on it: BTC-USDT-PERP, priced and margined in the same quote currency."""
    if symbol.name.endswith(PERPETUAL):
        return symbol
    return msgspec.structs.replace(symbol, name=f"{symbol.name}-{PERPETUAL}")


def define(
    symbol: Symbol,
    venue: str,
    *,
    first_px: float,
    close_only: bool = False,
    half_spreads: Mapping[str, Decimal] | None = None,
    finest: float = 1.0,
) -> Instrument:
    """Master data by the rule of the asset class. `first_px` is the first price known, which sets what is relative. Prices that were
    multiplied by something as small as `finest` (> 0) come in as many more digits.
    """
    price_increment, qty_increment, half_spread = _RULES[symbol.asset_class](symbol, first_px)
    price_increment = price_increment.scaleb(min(0, floor(log10(finest))))
    return Instrument(
        instrument_id=f"{symbol.name}.{venue}",
        asset_class=symbol.asset_class,
        base=symbol.base,
        quote=symbol.quote,
        price_increment=price_increment,
        qty_increment=qty_increment,
        half_spread=(half_spreads or {}).get(symbol.name, half_spread),
        close_only=close_only,
    )


def _pair(base: str, quote: str, name: str = "") -> Symbol | None:
    if base in CURRENCIES and quote in CURRENCIES and base != quote:
        return Symbol(name or f"{base}-{quote}", base, quote, AssetClass.FX)
    named = base in COINS and base != quote
    unnamed = quote in STABLECOINS or (base not in CURRENCIES and len(base + quote) > LONGEST_TICKER)
    if quote in CRYPTO_QUOTES and base.isalnum() and (named or unnamed):
        return Symbol(name or f"{base}-{quote}", base, quote, AssetClass.CRYPTO)
    return None


Increments = tuple[Decimal, Decimal, Decimal]  # of price, of quantity; half spread


def _fx(symbol: Symbol, first_px: float) -> Increments:
    """A tenth of a pip; half a pip of cost."""
    pip = Decimal("0.01") if symbol.quote == "JPY" else Decimal("0.0001")
    return pip / 10, Decimal(1), pip / 2


def _crypto(symbol: Symbol, first_px: float) -> Increments:
    """About a millionth of the price; 2.5 basis points of cost."""
    exponent = floor(log10(first_px)) - 6 if first_px > 0 and isfinite(first_px) else -8
    increment = Decimal(1).scaleb(max(-10, min(-2, exponent)))
    return increment, Decimal("0.00001"), _relative(first_px, "0.00025", increment)


def _equity(symbol: Symbol, first_px: float) -> Increments:
    """A cent; one basis point of cost, at least a cent."""
    cent = Decimal("0.01")
    return cent, Decimal(1), _relative(first_px, "0.0001", cent)


def _relative(first_px: float, fraction: str, increment: Decimal) -> Decimal:
    if not (first_px > 0 and isfinite(first_px)):
        return increment
    return max(increment, (Decimal(repr(first_px)) * Decimal(fraction)).quantize(increment))


_RULES: Final[dict[AssetClass, Callable[[Symbol, float], Increments]]] = {
    AssetClass.FX: _fx,
    AssetClass.CRYPTO: _crypto,
    AssetClass.EQUITY: _equity,
}
