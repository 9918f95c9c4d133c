"""The same data by different ways of running it, lined up trade by trade (RES-01): backtest, wire, replay, paper.

Ids of orders and fills come from business keys, so that the same order has the same id everywhere and ways can be compared
piece by piece, however their messages interleave.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from common.core import Core, Effect
from common.lockstep import Lockstep
from common.messages.base import Message
from common.messages.orders import OrderApproved, OrderCanceled, OrderDenied, OrderExpired, OrderFilled, OrderRejected
from common.messages.portfolio import PortfolioStep
from common.messages.risk import RiskStep
from common.messages.signals import SignalsStep
from common.model.time import iso
from common.runtime.codec import decode, encode
from common.runtime.session import envelope
from market_data.source import source
from research.backtest import Operator, answer, cores
from research.truth.course import Config, decides, in_words

SHOWN: Final = 20  # differences that are told one by one
# What is compared, in the order of a step, and the name by which a piece is found again.
_STAGES: Final[tuple[tuple[type[Any], str, str], ...]] = (
    (SignalsStep, "signals", "step"),
    (PortfolioStep, "portfolio", "step"),
    (OrderApproved, "approved", "order.client_order_id"),
    (OrderDenied, "denied", "order.client_order_id"),
    (OrderRejected, "rejected", "client_order_id"),
    (OrderFilled, "fill", "fill_id"),
    (OrderCanceled, "canceled", "client_order_id"),
    (OrderExpired, "expired", "client_order_id"),
)


class Piece(NamedTuple):
    """`rank` is the place of its stage in a step."""

    rank: int
    stage: str
    name: str


class Ledger:
    """What one way decided and traded. Feed it every message of a run in the order of its tape."""

    def __init__(self) -> None:
        self.pieces: dict[Piece, Message] = {}
        self.closed_ns = -1  # of the last step that the guardian has answered
        self.closed: set[int] = set()

    def see(self, message: Message) -> None:
        if isinstance(message, RiskStep):
            self.closed_ns = message.ts_event
            self.closed.add(message.step)
        for rank, (kind, stage, path) in enumerate(_STAGES):
            if isinstance(message, kind) and decides(message):
                name: Any = message
                for part in path.split("."):
                    name = getattr(name, part)
                self.pieces[Piece(rank, stage, str(name))] = message

    def passed_over(self, piece: Piece) -> bool:
        """Whether it is of a step that the fast engine did not handle: opinions that the portfolio merely remembers."""
        return piece.stage == "signals" and int(piece.name) not in self.closed

    def count(self, stage: str) -> int:
        return sum(piece.stage == stage for piece in self.pieces)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A piece that is not the same everywhere; `said` by way, empty where it never was."""

    ts: int
    stage: str
    name: str
    said: dict[str, str]


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """`differences` are the first ones in order of time, `differing` counts all. `until` is the last instant compared."""

    until: int
    compared: int
    fills: int
    differing: int
    differences: tuple[Difference, ...]

    @property
    def identical(self) -> bool:
        return self.differing == 0


def line_up(ways: Mapping[str, Ledger]) -> Parity:
    """Every piece of every way against the others', up to the last step that all of them have closed."""
    until = min(ledger.closed_ns for ledger in ways.values())
    when: dict[Piece, int] = {}
    for ledger in ways.values():
        for piece, message in ledger.pieces.items():
            when.setdefault(piece, message.ts_event)
    compared = sorted((ts, piece) for piece, ts in when.items() if ts <= until)
    differing = [
        Difference(
            ts=ts,
            stage=piece.stage,
            name=piece.name,
            said={way: in_words(ledger.pieces.get(piece)) for way, ledger in ways.items()},
        )
        for ts, piece in compared
        if not _same([ledger.pieces.get(piece) for ledger in ways.values() if not ledger.passed_over(piece)])
    ]
    return Parity(
        until=until,
        compared=len(compared),
        fills=sum(piece.stage == "fill" for _, piece in compared),
        differing=len(differing),
        differences=tuple(differing[:SHOWN]),
    )


def over_the_wire(config: Config, resume_after_days: int | None = None) -> Iterator[Message]:
    """The backtest, with every message turned into bytes and back before anyone hears it, as on the tape of a live run."""
    operator = Operator(resume_after_days)
    wired: dict[str, Core] = {name: _Wired(core) for name, core in cores(config).items()}
    for message in Lockstep(wired, answer).run(map(through_bytes, operator.beside(source(config).messages()))):
        operator.see(message)
        yield message


def through_bytes(message: Message) -> Message:
    """What a reader of the tape gets."""
    sealed = envelope("parity", message, "0", cause=None)
    return decode(msgspec.structs.replace(sealed, data=msgspec.Raw(encode(message))))


def as_json(parity: Parity) -> dict[str, Any]:
    """Plain values, with times in words."""
    return {
        "identical": parity.identical,
        "until": iso(parity.until) if parity.until >= 0 else None,
        "compared": parity.compared,
        "fills": parity.fills,
        "differing": parity.differing,
        "differences": [
            {"at": iso(each.ts), "stage": each.stage, "name": each.name, "said": each.said}
            for each in parity.differences
        ],
    }


class _Wired:
    """A core that hears and says what has been bytes."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def state(self) -> Any:
        return self._core.state

    @state.setter
    def state(self, value: Any) -> None:
        self._core.state = value

    def handle(self, message: Message) -> Sequence[Message | Effect]:
        said = self._core.handle(message)
        return [output if isinstance(output, Effect) else through_bytes(output) for output in said]

    def pending(self) -> Sequence[Effect]:
        return self._core.pending()


def _same(messages: Sequence[Message | None]) -> bool:
    return all(message == messages[0] for message in messages)
