"""What operators hold in this account. The book trades around it: an operator's position is not the book's to close."""

from __future__ import annotations

from decimal import Decimal

from common.messages.orders import ExecutionStep, OrderFilled
from common.model.money import ZERO
from common.model.parties import GUARDIAN, MANUAL
from portfolio.state import Seen, State


def on_fill(state: State, fill: OrderFilled) -> None:
    """Books an operator's fill, and remembers where the guardian traded. The book's own fills are nothing new to it."""
    instrument_id = fill.instrument_id
    if fill.strategy_id == MANUAL:
        state.manual = _with(state.manual, instrument_id, state.manual.get(instrument_id, ZERO) + fill.signed_qty)
    elif fill.strategy_id == GUARDIAN and instrument_id in state.manual and instrument_id not in state.cut_by_guardian:
        state.cut_by_guardian.append(instrument_id)


def on_execution(state: State, execution: ExecutionStep) -> Seen:
    """The step with what of its positions is the operator's: fills said before it are in it, later ones are not."""
    if state.cut_by_guardian:
        held = {position.instrument_id: position.signed_qty for position in execution.positions}
        for instrument_id in state.cut_by_guardian:
            left = after_cut(state.manual.get(instrument_id, ZERO), held.get(instrument_id, ZERO))
            state.manual = _with(state.manual, instrument_id, left)
        state.cut_by_guardian = []
    return Seen(execution=execution, manual=state.manual)


def after_cut(manual: Decimal, held: Decimal) -> Decimal:
    """What is left of the operator's part when the guardian has cut the position to `held`: strategies' shares go first, the
    operator's last, and with nothing held nothing is the operator's.
    """
    if not held:
        return ZERO
    return min(manual, held, key=abs) if manual * held > 0 else manual


def _with(quantities: dict[str, Decimal], instrument_id: str, qty: Decimal) -> dict[str, Decimal]:
    """A new table: steps that wait still refer to the old one."""
    others = {name: value for name, value in quantities.items() if name != instrument_id}
    return {**others, instrument_id: qty} if qty else others
