"""Everything execution remembers."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from common.messages.market_data import MarketSlice
from common.messages.orders import BreakKind, Order
from common.messages.venue import Traded
from common.model.enums import DenyCode, OrderState
from common.model.instrument import Instrument
from common.model.ledger import Ledger
from common.model.money import ZERO
from execution.adapters.paper_venue import PaperBook
from execution.algorithms import Plan
from execution.costs import Turnover
from execution.financing import Accrual
from execution.market_view import MarketView
from execution.schedule import Progress

CLOSED_IDS_KEPT: Final = 20_000  # each snapshot holds them
FINISHED_KEPT: Final = 2_000


class LiveOrder(msgspec.Struct, kw_only=True):
    """An order from its approval to its end.

    `order` is what the venue has or shall get; its quantity follows parent and group, `full_qty` is the approved one.
    `send`, `query`, `cancel` and `amend` are the numbers of requests that await their answer, 0 where none does; `asked`
    numbers them. `unsent` says that the venue certainly has not got it.
    """

    order: Order
    state: OrderState
    ts_approved: int
    full_qty: Decimal
    answered: bool = False  # the intent is recorded, or has failed
    failed: DenyCode | None = None
    ts_submitted: int = 0
    venue_order_id: str = ""
    # what has filled
    cum_qty: Decimal = ZERO
    cum_value: Decimal = ZERO
    commission: Decimal = ZERO
    maker_qty: Decimal = ZERO
    fills: int = 0
    trades: dict[str, None] = msgspec.field(default_factory=dict)  # by the venue's ids
    # what is asked of the venue
    asked: int = 0
    send: int = 0
    query: int = 0
    cancel: int = 0
    amend: int = 0
    amend_to: Order | None = None
    cancel_reason: str = ""  # wanted off the market, until it is
    firm: bool = False  # and no refusal ends that
    refusals: int = 0
    failures: int = 0
    not_found: int = 0
    unsent: bool = False
    # what it hangs together with
    linked: bool = False
    parent_filled: Decimal = ZERO
    taken: Decimal = ZERO  # filled by others of its group
    worked_for: str = ""  # the order that this one is a part of
    plan: Plan | None = None
    progress: Progress | None = None

    @property
    def leaves_qty(self) -> Decimal:
        return max(self.order.qty - self.cum_qty, ZERO)

    def take(self, trade: Traded) -> None:
        """Adds a fill to the sums."""
        self.cum_qty += trade.last_qty
        self.cum_value += trade.last_qty * trade.last_px
        self.commission += trade.commission
        self.maker_qty += trade.last_qty if trade.maker else ZERO
        self.fills += 1


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """A difference between our book and the venue's. `order_id` is empty where it is not about an order."""

    kind: BreakKind
    instrument_id: str  # of a difference in cash: the currency
    ours: Decimal
    venue: Decimal
    order_id: str = ""
    venue_order_id: str = ""

    @property
    def break_id(self) -> str:
        parts = (self.kind, self.instrument_id, self.order_id)
        return ":".join(part for part in parts if part)


class Reconciliation(msgspec.Struct, kw_only=True):
    """`taken` numbers the last snapshot compared. `suspects` are its differences, `breaks` those that stand; `stirred` are
    the instruments that a report has come for since.
    """

    taken: int = 0
    asked: bool = False
    due_ns: int = 0
    suspects: dict[str, Break] = msgspec.field(default_factory=dict)
    breaks: dict[str, Break] = msgspec.field(default_factory=dict)
    stirred: dict[str, None] = msgspec.field(default_factory=dict)


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """What a service has said that it is."""

    build: str
    contracts: str

    def __str__(self) -> str:
        return f"{self.build} (contracts {self.contracts})"


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """To the venue, as last heard; a venue never heard of is not usable."""

    venue: str = ""
    connected: bool = False
    usable: bool = False
    failures: int = 0
    reason: str = ""


class State(msgspec.Struct, kw_only=True):
    """`closed` keeps the ids of ended orders (bounded, oldest first) so that none is ever traded twice, `finished` the last of
    them whole, for fills that come late. `waiting` holds slices that came while intents were being recorded.
    """

    book: str = ""
    instruments: dict[str, Instrument] = msgspec.field(default_factory=dict)
    ledger: Ledger = msgspec.field(default_factory=Ledger)
    orders: dict[str, LiveOrder] = msgspec.field(default_factory=dict)
    finished: dict[str, LiveOrder] = msgspec.field(default_factory=dict)
    closed: dict[str, None] = msgspec.field(default_factory=dict)
    waiting: list[MarketSlice] = msgspec.field(default_factory=list)
    paper: PaperBook = msgspec.field(default_factory=PaperBook)
    view: MarketView = msgspec.field(default_factory=MarketView)
    turnover: Turnover = msgspec.field(default_factory=Turnover)
    accrual: Accrual = msgspec.field(default_factory=Accrual)
    reconciliation: Reconciliation = msgspec.field(default_factory=Reconciliation)
    connection: Connection = msgspec.field(default_factory=Connection)
    versions: dict[str, Version] = msgspec.field(default_factory=dict)  # of the deciding services, as last announced
    mixed: str = ""  # who of them is not what we are, in words
    step: int = 0
    ts: int = 0
    reducing: bool = False
    halted: bool = False
    halt_unconfirmed: bool = False  # a halt command was seen, the guardian's answer not yet

    def find(self, client_order_id: str) -> LiveOrder | None:
        """Alive, or ended and still known whole."""
        return self.orders.get(client_order_id) or self.finished.get(client_order_id)
