"""What `ballast up` shows in the terminal: prices, regimes, positions, the latest orders and why."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from common.messages.base import Message
from common.messages.market_data import FeedChanged, MarketSlice
from common.messages.orders import ExecutionStep, OrderApproved, OrderDenied, OrderFilled
from common.messages.regime import RegimeStep
from common.messages.risk import LadderChanged, RiskStep, TradingStateChanged
from common.model.enums import TradingState
from common.model.time import iso

EVENTS_SHOWN = 10
_STYLE = {TradingState.ACTIVE: "green", TradingState.REDUCING: "yellow", TradingState.HALTED: "bold red"}


class View:
    """The latest of everything, by instrument. Feed it the tape; render when a picture is wanted."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._ts = self._steps = 0
        self._px: dict[str, tuple[float, float]] = {}  # last, the one before
        self._regime: dict[str, str] = {}
        self._qty: dict[str, Decimal] = {}
        self._risk: RiskStep | None = None
        self._events: deque[Text] = deque(maxlen=EVENTS_SHOWN)

    def see(self, message: Message) -> None:
        match message:
            case MarketSlice():
                self._ts, self._steps = message.ts_event, message.step
                for bar in message.bars:
                    if bar.base:
                        before = self._px.get(bar.instrument_id, (bar.close, bar.close))[0]
                        self._px[bar.instrument_id] = (bar.close, before)
            case RegimeStep():
                for reading in message.readings:
                    self._regime[reading.instrument_id] = f"{reading.regime} {reading.timeframe}, {reading.vol_state}"
            case ExecutionStep():
                self._qty = {position.instrument_id: position.signed_qty for position in message.positions}
            case RiskStep():
                self._risk = message
            case _:
                self._note(message)

    def _note(self, message: Message) -> None:
        at = iso(message.ts_event)[:16]
        match message:
            case OrderFilled():
                text = (
                    f"{at} filled  {message.side} {message.last_qty:,f} {message.instrument_id} at {message.last_px:f}"
                )
                self._events.append(Text(text, style="green"))
            case OrderApproved():
                order, why = message.order, message.rule or message.order.reason
                self._events.append(Text(f"{at} approved {order.side} {order.qty:,f} {order.instrument_id}: {why}"))
            case OrderDenied():
                order = message.order
                numbers = f"{message.code}, {message.observed:f} against {message.limit:f}"
                self._events.append(
                    Text(f"{at} denied  {order.side} {order.qty:,f} {order.instrument_id}: {numbers}", style="yellow")
                )
            case TradingStateChanged():
                self._events.append(
                    Text(f"{at} trading {message.state}: {message.reason}", style=_STYLE[message.state])
                )
            case FeedChanged(active=True):
                self._events.append(Text(f"{at} prices of {message.instrument_id} from {message.feed}", style="dim"))
            case LadderChanged():
                what = f"{message.ladder} ladder level {message.level}: {', '.join(message.actions)}"
                self._events.append(Text(f"{at} {what}", style="bold yellow"))

    def render(self) -> Group:
        table = Table(expand=True, box=None, pad_edge=False)
        for name, side in (("instrument", "left"), ("price", "right"), ("", "left"), ("position", "right")):
            table.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]
        table.add_column("regime")
        for name, (px, before) in self._px.items():
            arrow, style = ("▲", "green") if px > before else ("▼", "red") if px < before else ("·", "dim")
            qty = self._qty.get(name)
            held = f"{qty:,f}" if qty else ""
            table.add_row(
                name, f"{px:.5g}" if px < 1 else f"{px:,.5f}", Text(arrow, style), held, self._regime.get(name, "")
            )
        events = Text("\n").join(reversed(self._events))  # the newest on top
        return Group(self._headline(), table, Panel(events, title="orders and why", title_align="left", height=12))

    def _headline(self) -> Text:
        risk = self._risk
        since = iso(self._ts)[:16] if self._ts else "waiting for the first prices; logs/market_data.log says for whom"
        line = Text(f"{since}   step {self._steps:,}   ")
        if risk is not None:
            equity = f"{risk.equity:,.2f}" if risk.equity is not None else "-"
            line.append(f"equity {equity}   drawdown {risk.drawdown:.2%}   ")
            line.append(str(risk.trading_state), _STYLE[risk.trading_state])
        line.append(f"   {self._address}   Ctrl-C stops", "dim")
        return line
