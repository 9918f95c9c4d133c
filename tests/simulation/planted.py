"""Bugs put in on purpose, one at a time, to see that the simulation finds them: each is a change of our own code that somebody
could have made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import common.runtime.session
import execution.admission
import execution.core
import execution.manager
import execution.requests
import risk_guardian.verdict
from common.messages.base import Message
from common.messages.orders import OrderApproved
from common.messages.venue import OutcomeUnknown
from common.model.ledger import Ledger
from common.runtime import snapshots
from common.runtime.lease import Lease
from common.runtime.subjects import subject
from execution.core import Execution
from execution.effects import SendOrder
from portfolio.core import Portfolio


class Planted(NamedTuple):
    name: str
    plant: Callable[[], AbstractContextManager[Any]]


# --- sessions, snapshots, leases -------------------------------------------------------------------------


async def _never_spoke(tape: Any, service: str) -> tuple[int, int]:
    return -1, -1


def _says_again() -> AbstractContextManager[Any]:
    return patch.object(common.runtime.session, "own_progress", _never_spoke)


def _skips_one() -> AbstractContextManager[Any]:
    restore = snapshots.restore

    def off_by_one(core: Any, payload: bytes | None, mark: str) -> int:
        seq = restore(core, payload, mark)
        return seq + 1 if seq else 0

    return patch.object(snapshots, "restore", off_by_one)


def _remembers_outside_its_state() -> AbstractContextManager[Any]:
    handle, seen = Portfolio.handle, [0]

    def forgetful(self: Portfolio, message: Message) -> Any:
        seen[0] += 1
        return handle(self, message) if seen[0] % 97 else ()

    return patch.object(Portfolio, "handle", forgetful)


def _no_fence() -> AbstractContextManager[Any]:
    """A holder says that it has taken the lease, and never asks the tape to keep the former one out."""

    async def announce(self: Lease, run_id: str) -> None:
        from common.messages.control import LeaseTaken
        from common.runtime.session import envelope

        message = LeaseTaken(ts_event=0, service=self._service, instance=self._instance, token=self._token)
        sealed = envelope(self._service, message, f"{message.TYPE}:{self._service}:{self._token}", cause=None)
        await self._tape.append(subject(message), sealed)

    return patch.object(Lease, "announce", announce)


# --- execution -------------------------------------------------------------------------------------------


def _sends_before_it_is_recorded() -> AbstractContextManager[Any]:
    handle = Execution.handle

    def hasty(self: Execution, message: Message) -> Any:
        outputs = list(handle(self, message))
        if isinstance(message, OrderApproved) and message.order.client_order_id in self.state.orders:
            outputs.append(SendOrder(order=message.order, attempt=1))
        return outputs

    return patch.object(Execution, "handle", hasty)


def _sends_again_without_asking() -> AbstractContextManager[Any]:
    handlers = execution.manager._HANDLERS

    def resend(ctx: Any, live: Any, report: OutcomeUnknown) -> None:
        if live.send:
            live.send = 0
            execution.requests.send(ctx, live)

    return patch.dict(handlers, {OutcomeUnknown: resend})


def _sends_again_after_a_restart() -> AbstractContextManager[Any]:
    def unanswered(live: Any) -> list[Any]:
        return [SendOrder(order=live.order, attempt=live.send)] if live.send else []

    return patch.object(execution.requests, "unanswered", unanswered)


def _books_fills_twice() -> AbstractContextManager[Any]:
    book_fill = execution.manager.book_fill

    def forgets(ctx: Any, live: Any, trade: Any) -> bool:
        live.trades.clear()
        return book_fill(ctx, live, trade)

    return patch.object(execution.manager, "book_fill", forgets)


def _ignores_late_fills() -> AbstractContextManager[Any]:
    return patch.object(execution.manager, "_after_the_end", lambda ctx, live, report: None)


def _trades_on_after_a_stop() -> AbstractContextManager[Any]:
    @contextmanager
    def planted() -> Iterator[None]:
        everything = lambda order: True  # noqa: E731 (in the place of a named rule)
        with (
            patch.object(execution.admission, "is_flattening", everything),
            patch.object(execution.core, "is_flattening", everything),
        ):
            yield

    return planted()


def _commission_with_the_wrong_sign() -> AbstractContextManager[Any]:
    apply_fill = Ledger.apply_fill

    def wrong(self: Ledger, instrument: Any, signed_qty: Decimal, px: Decimal, commission: Decimal) -> None:
        apply_fill(self, instrument, signed_qty, px, -commission)

    return patch.object(Ledger, "apply_fill", wrong)


# --- the guardian ----------------------------------------------------------------------------------------


def _without(name: str) -> Callable[[], AbstractContextManager[Any]]:
    """A check that was taken out of the table."""

    def plant() -> AbstractContextManager[Any]:
        @contextmanager
        def planted() -> Iterator[None]:
            tables = ("CHECKS", "OF_EVERY_ORDER", "OF_NEW_RISK")
            module = risk_guardian.verdict
            changed = {
                table: tuple(check for check in getattr(module, table) if check.__name__ != name)
                for table in tables
                if hasattr(module, table)
            }
            with patch.multiple(module, **changed):
                yield

        return planted()

    return plant


def _forgets_working_orders() -> AbstractContextManager[Any]:
    from risk_guardian.verdict import Judge

    def forgetful(self: Judge, order: Any, state: Any, *more: Any, **named: Any) -> None:
        remember(self, order, state, *more, **named)
        state.working.pop(order.client_order_id, None)

    remember = Judge.remember
    return patch.object(Judge, "remember", forgetful)


PLANTED: Final[Sequence[Planted]] = (
    Planted("a restarted service says again what it had said", _says_again),
    Planted("a restored service skips a message", _skips_one),
    Planted("a core remembers something outside its state", _remembers_outside_its_state),
    Planted("a new holder of a lease does not keep the old one out", _no_fence),
    Planted("an order is sent before its intent is recorded", _sends_before_it_is_recorded),
    Planted("an order of unknown outcome is sent again without asking", _sends_again_without_asking),
    Planted("an order on its way is sent again after a restart", _sends_again_after_a_restart),
    Planted("a fill that is reported twice is booked twice", _books_fills_twice),
    Planted("the late fill of a canceled order is ignored", _ignores_late_fills),
    Planted("execution trades on after a stop", _trades_on_after_a_stop),
    Planted("commissions are booked with the wrong sign", _commission_with_the_wrong_sign),
    Planted("the guardian does not limit a position", _without("max_position")),
    Planted("the guardian does not limit the gross exposure", _without("max_gross_exposure")),
    Planted("the guardian lets orders open positions while REDUCING", _without("reducing")),
    Planted("the guardian forgets the orders that work", _forgets_working_orders),
)
