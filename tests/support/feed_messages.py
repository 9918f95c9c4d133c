"""What venues say, message by message, as their public documentation shows it: a made-up market in each venue's own words."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol


class Tick(NamedTuple):
    """Of a made-up market. `symbol` is ours; sizes and ids count up from `number`."""

    symbol: str
    number: int
    bid: float
    ask: float
    ts_ns: int


def stamp(ts_ns: int) -> str:
    """RFC 3339 with nanoseconds."""
    whole = datetime.fromtimestamp(ts_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ts_ns % 10**9:09d}Z"


class Wording(Protocol):
    """How one venue puts it: frames or lines of text."""

    def subscribed(self, asked: Any) -> Sequence[str]: ...
    def quote(self, tick: Tick) -> Sequence[str]: ...
    def trade(self, tick: Tick) -> Sequence[str]: ...
    def heartbeat(self, ts_ns: int) -> Sequence[str]: ...
    def malformed(self, tick: Tick) -> Sequence[str]: ...


class Kraken:
    """docs.kraken.com/api/docs/websocket-v2/ticker and /trade."""

    def subscribed(self, asked: Any) -> Sequence[str]:
        params = asked.get("params", {})
        return [
            json.dumps({
                "method": "subscribe",
                "req_id": asked.get("req_id"),
                "result": {"channel": params.get("channel"), "symbol": symbol, "snapshot": True},
                "success": True,
                "time_in": "2023-09-25T09:04:31.742599Z",
                "time_out": "2023-09-25T09:04:31.742648Z",
            })
            for symbol in params.get("symbol", [])
        ]  # fmt: skip

    def quote(self, tick: Tick) -> Sequence[str]:
        data = {
            "symbol": tick.symbol.replace("-", "/"), "bid": tick.bid, "bid_qty": 0.01362603, "ask": tick.ask,
            "ask_qty": 17.17988863, "last": tick.bid, "volume": 2158.32346723, "vwap": 108894.5, "low": tick.bid,
            "high": tick.ask, "change": -2679.9, "change_pct": -2.41, "a_field_of_next_year": {"x": 1},
        }  # fmt: skip
        return [json.dumps({"channel": "ticker", "type": "update", "data": [data]})]

    def trade(self, tick: Tick) -> Sequence[str]:
        data = {
            "symbol": tick.symbol.replace("-", "/"), "side": "sell", "price": tick.bid, "qty": 0.5, "ord_type": "market",
            "trade_id": tick.number, "timestamp": stamp(tick.ts_ns),
        }  # fmt: skip
        return [json.dumps({"channel": "trade", "type": "update", "data": [data]})]

    def heartbeat(self, ts_ns: int) -> Sequence[str]:
        return ['{"channel":"heartbeat"}']

    def malformed(self, tick: Tick) -> Sequence[str]:
        return [
            '{"channel":"ticker","type":"update","data":[]}',
            '{"channel":"ticker","data":[{"bid":',
            "no JSON at all",
        ]


class Binance:
    """developers.binance.com/docs/binance-spot-api-docs/web-socket-streams: bookTicker and trade."""

    def subscribed(self, asked: Any) -> Sequence[str]:
        return [json.dumps({"result": None, "id": asked.get("id")})]

    def quote(self, tick: Tick) -> Sequence[str]:
        return [
            json.dumps({
                "u": tick.number, "s": tick.symbol.replace("-", ""), "b": f"{tick.bid:.8f}", "B": "31.21000000",
                "a": f"{tick.ask:.8f}", "A": "40.66000000", "a_field_of_next_year": 1,
            })
        ]  # fmt: skip

    def trade(self, tick: Tick) -> Sequence[str]:
        ms = tick.ts_ns // 10**6
        return [
            json.dumps({
                "e": "trade", "E": ms, "s": tick.symbol.replace("-", ""), "t": tick.number, "p": f"{tick.bid:.8f}",
                "q": "0.50000000", "T": ms, "m": True, "M": True,
            })
        ]  # fmt: skip

    def heartbeat(self, ts_ns: int) -> Sequence[str]:
        return []  # only pings of the WebSocket

    def malformed(self, tick: Tick) -> Sequence[str]:
        name = tick.symbol.replace("-", "")
        return [f'{{"u":1,"s":"{name}","b":"abc","B":"1","a":"x","A":"1"}}', '{"e":"trade","s":', "no JSON at all"]


class Coinbase:
    """docs.cdp.coinbase.com/advanced-trade/docs/ws-channels: ticker and market_trades."""

    def subscribed(self, asked: Any) -> Sequence[str]:
        names = {asked.get("channel"): asked.get("product_ids")}
        return [self._said("subscriptions", [{"subscriptions": names}], "2023-02-09T20:30:37.167359596Z")]

    def quote(self, tick: Tick) -> Sequence[str]:
        ticker = {
            "type": "ticker", "product_id": tick.symbol, "price": f"{tick.bid}", "volume_24_h": "16038.28770938",
            "low_24_h": "21835.29", "high_24_h": "23011.18", "low_52_w": "15460", "high_52_w": "48240",
            "price_percent_chg_24_h": "-4.15775596190603", "best_bid": f"{tick.bid}", "best_bid_quantity": "0.02",
            "best_ask": f"{tick.ask}", "best_ask_quantity": "0.015", "a_field_of_next_year": [1],
        }  # fmt: skip
        return [self._said("ticker", [{"type": "update", "tickers": [ticker]}], stamp(tick.ts_ns))]

    def trade(self, tick: Tick) -> Sequence[str]:
        trade = {
            "trade_id": str(tick.number), "product_id": tick.symbol, "price": f"{tick.bid}", "size": "0.5", "side": "BUY",
            "time": stamp(tick.ts_ns),
        }  # fmt: skip
        return [self._said("market_trades", [{"type": "update", "trades": [trade]}], stamp(tick.ts_ns))]

    def heartbeat(self, ts_ns: int) -> Sequence[str]:
        return [self._said("heartbeats", [{"current_time": stamp(ts_ns), "heartbeat_counter": "3049"}], stamp(ts_ns))]

    def malformed(self, tick: Tick) -> Sequence[str]:
        broken = self._said("ticker", [{"type": "update", "tickers": ["?"]}], stamp(tick.ts_ns))
        return [broken, '{"channel":"ticker","events":[{', "no JSON at all"]

    def _said(self, channel: str, events: list[Any], timestamp: str) -> str:
        said = {"channel": channel, "client_id": "", "timestamp": timestamp, "sequence_num": 0, "events": events}
        return json.dumps(said)


class Alpaca:
    """docs.alpaca.markets/docs/real-time-stock-pricing-data."""

    def subscribed(self, asked: Any) -> Sequence[str]:
        if asked.get("action") == "auth":
            return ['[{"T":"success","msg":"authenticated"}]']
        kinds = {"trades": asked.get("trades"), "quotes": asked.get("quotes"), "bars": []}
        return [json.dumps([{"T": "subscription", **kinds}])]

    def quote(self, tick: Tick) -> Sequence[str]:
        return [
            json.dumps([{
                "T": "q", "S": tick.symbol.replace("-", "."), "bx": "U", "bp": tick.bid, "bs": 1, "ax": "Q",
                "ap": tick.ask, "as": 4, "t": stamp(tick.ts_ns), "c": ["R"], "z": "C", "a_field_of_next_year": 1,
            }])
        ]  # fmt: skip

    def trade(self, tick: Tick) -> Sequence[str]:
        return [
            json.dumps([{
                "T": "t", "i": tick.number, "S": tick.symbol.replace("-", "."), "x": "D", "p": tick.bid, "s": 5,
                "t": stamp(tick.ts_ns), "c": ["@", "I"], "z": "C",
            }])
        ]  # fmt: skip

    def heartbeat(self, ts_ns: int) -> Sequence[str]:
        return []  # only pongs of the WebSocket

    def malformed(self, tick: Tick) -> Sequence[str]:
        name = tick.symbol
        return [f'[{{"T":"q","S":"{name}","bp":"abc","ap":1}},{{"T":"q","S":"{name}"}},7]', "no JSON at all"]


class Oanda:
    """developer.oanda.com/rest-live-v20/pricing-ep: one JSON object a line."""

    def subscribed(self, asked: Any) -> Sequence[str]:
        return []

    def quote(self, tick: Tick) -> Sequence[str]:
        return [self._price(tick, tradeable=True)]

    def trade(self, tick: Tick) -> Sequence[str]:
        return []  # dealers publish no trades

    def closed(self, tick: Tick) -> str:
        """The price on a weekend."""
        return self._price(tick, tradeable=False)

    def heartbeat(self, ts_ns: int) -> Sequence[str]:
        return [json.dumps({"type": "HEARTBEAT", "time": stamp(ts_ns)})]

    def malformed(self, tick: Tick) -> Sequence[str]:
        return ['{"type":"PRICE","instrument":"EUR_USD","time":"now"}', '{"type":"PRICE",', "no JSON at all"]

    def _price(self, tick: Tick, *, tradeable: bool) -> str:
        return json.dumps({
            "asks": [{"liquidity": 10000000, "price": f"{tick.ask:.5f}"}, {"liquidity": 10000000, "price": "9.99999"}],
            "bids": [{"liquidity": 10000000, "price": f"{tick.bid:.5f}"}, {"liquidity": 10000000, "price": "0.00001"}],
            "closeoutAsk": f"{tick.ask + 0.0002:.5f}", "closeoutBid": f"{tick.bid - 0.0002:.5f}",
            "instrument": tick.symbol.replace("-", "_"), "status": "tradeable" if tradeable else "non-tradeable",
            "time": stamp(tick.ts_ns), "tradeable": tradeable, "type": "PRICE", "a_field_of_next_year": None,
        })  # fmt: skip


WORDINGS: dict[str, Callable[[], Wording]] = {
    "kraken": Kraken,
    "binance": Binance,
    "coinbase": Coinbase,
    "alpaca": Alpaca,
    "oanda": Oanda,
}


# --- what crypto exchanges list, asked over HTTP ---------------------------------------------------------------------
def kraken_pairs(symbols: Sequence[str]) -> Any:
    pairs = {}
    for symbol in symbols:
        base, quote = symbol.split("-")
        names = {"BTC": "XXBT", "ETH": "XETH", "USD": "ZUSD"}
        name = symbol.replace("BTC", "XBT").replace("-", "")
        pairs[names.get(base, base) + names.get(quote, quote)] = {
            "altname": name, "wsname": f"{base.replace('BTC', 'XBT')}/{quote}", "aclass_base": "currency",
            "base": names.get(base, base), "aclass_quote": "currency", "quote": names.get(quote, quote), "lot": "unit",
            "cost_decimals": 5, "pair_decimals": 1, "lot_decimals": 8, "lot_multiplier": 1, "leverage_buy": [],
            "leverage_sell": [], "fees": [[0, 0.26]], "fees_maker": [[0, 0.16]], "fee_volume_currency": "ZUSD",
            "margin_call": 80, "margin_stop": 40, "ordermin": "0.0001", "costmin": "0.5", "tick_size": "0.1",
            "status": "online",
        }  # fmt: skip
    return {"error": [], "result": pairs}


def binance_symbols(symbols: Sequence[str]) -> Any:
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
    ]
    listed = [
        {
            "symbol": symbol.replace("-", ""), "status": "TRADING", "baseAsset": symbol.split("-")[0],
            "baseAssetPrecision": 8, "quoteAsset": symbol.split("-")[1], "quotePrecision": 8, "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"], "isSpotTradingAllowed": True, "isMarginTradingAllowed": False,
            "filters": filters, "permissions": [], "permissionSets": [["SPOT"]],
        }
        for symbol in symbols
    ]  # fmt: skip
    return {"timezone": "UTC", "serverTime": 1575416692969, "rateLimits": [], "exchangeFilters": [], "symbols": listed}


def coinbase_products(symbols: Sequence[str]) -> Any:
    products = [
        {
            "product_id": symbol, "price": "67060", "base_increment": "0.00000001", "quote_increment": "0.01",
            "quote_min_size": "1", "quote_max_size": "150000000", "base_min_size": "0.00000001", "base_max_size": "3400",
            "is_disabled": False, "status": "online", "trading_disabled": False, "product_type": "SPOT",
            "quote_currency_id": symbol.split("-")[1], "base_currency_id": symbol.split("-")[0], "alias": "",
            "view_only": False, "price_increment": "0.01", "display_name": symbol, "product_venue": "CBE",
        }
        for symbol in symbols
    ]  # fmt: skip
    return {"products": products, "num_products": len(products)}


LISTINGS: dict[str, tuple[str, Callable[[Sequence[str]], Any]]] = {
    "kraken": ("/0/public/AssetPairs", kraken_pairs),
    "binance": ("/api/v3/exchangeInfo", binance_symbols),
    "coinbase": ("/api/v3/brokerage/market/products", coinbase_products),
}
