"""What the parts of the order manager work on together, for the time of one message."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import NamedTuple

from common.core import Effect
from common.messages.base import Message
from common.messages.venue import Report
from common.model.account import Account
from common.model.money import ZERO
from execution.adapters.paper_venue import PaperVenue
from execution.costs import Fees, fees_at
from execution.financing import Financing
from execution.settings import Settings
from execution.state import LiveOrder, State
from execution.venue_settings import PAPER


class Happened(NamedTuple):
    """`filled` > 0 more of an order; else its end if it has ended, or new terms: what hangs together with it follows."""

    live: LiveOrder
    filled: Decimal = ZERO


class Context:
    """`out` is what is said, `ts` its time. `reports` and `happened` are worked off before the message is done: what the paper
    venue has answered, and what others must follow.
    """

    def __init__(self, settings: Settings, account: Account) -> None:
        self.settings = settings
        self.account = account
        self.state = State()
        self.paper: PaperVenue | None = PaperVenue(settings) if settings.venue == PAPER else None
        on_paper = settings.venue == PAPER and settings.financing.enabled
        self.financing: Financing | None = Financing(settings.financing) if on_paper else None
        self.out: list[Message | Effect] = []
        self.reports: deque[Report] = deque()
        self.happened: deque[Happened] = deque()
        self.ts = 0
        self._fees = settings.fees

    def fees(self) -> Fees:
        """Of now."""
        tiers = self.settings.fee_tiers
        return fees_at(tiers, self.state.turnover.as_of(self.ts), self._fees) if tiers else self._fees

    def note(self, live: LiveOrder, filled: Decimal = ZERO) -> None:
        """Something has happened to an order; forgotten at once where nothing can follow from it."""
        if live.linked or live.worked_for or live.progress is not None or self.paper is None:
            self.happened.append(Happened(live, filled))

    def held_against(self, live: LiveOrder) -> Decimal:
        """How much of a position the order can reduce; <= 0 for none."""
        return self.state.ledger.qty(live.order.instrument_id) * -live.order.side.sign
