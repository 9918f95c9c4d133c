"""Arbitrary valid messages for property tests, derived from the messages' own types: a new message needs nothing here."""

from __future__ import annotations

import types
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from common.messages import MESSAGES
from common.messages.base import Message

T = TypeVar("T", bound=msgspec.Struct)

_INT64: Final = 2**63 - 1

nanoseconds: Final = st.integers(0, 4_102_444_800_000_000_000)  # 1970 to 2100
tokens: Final = st.text("ABCxyz019_-", min_size=1, max_size=12)
instrument_ids: Final = st.sampled_from(("EUR-USD.ECB", "USD-JPY.ECB", "BTC-USDT.BINANCE", "ETH-BTC.PAPER"))

# Where a name promises more than its type: subject tokens, instruments, time.
_BY_NAME: Final[dict[str, st.SearchStrategy[Any]]] = {
    "ts_event": nanoseconds,
    "book": tokens,
    "by": tokens,
    "account": tokens,
    "service": tokens,
    "strategy_id": tokens,
    "instrument_id": instrument_ids,
}
_BY_TYPE: Final[dict[Any, st.SearchStrategy[Any]]] = {
    bool: st.booleans(),
    int: st.integers(-_INT64, _INT64),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    type(None): st.none(),
}


@cache
def of(kind: type[T]) -> st.SearchStrategy[T]:
    """Any value of `kind`, a message or a struct inside one, with every field set."""
    hints = {name: get_type_hints(kind)[name] for name in kind.__struct_fields__}
    return st.builds(kind, **{name: _BY_NAME[name] if name in _BY_NAME else _any(hint) for name, hint in hints.items()})


def messages() -> st.SearchStrategy[Message]:
    """Any message at all."""
    return st.one_of([of(kind) for kind in MESSAGES])


def _any(hint: Any) -> st.SearchStrategy[Any]:
    if hint in _BY_TYPE:
        return _BY_TYPE[hint]
    if get_origin(hint) in _GENERIC:
        return _GENERIC[get_origin(hint)](get_args(hint))
    if issubclass(hint, Enum):
        return st.sampled_from(hint)
    return of(hint)


_GENERIC: Final[dict[Any, Callable[[tuple[Any, ...]], st.SearchStrategy[Any]]]] = {
    tuple: lambda args: st.lists(_any(args[0]), max_size=3).map(tuple),
    dict: lambda args: st.dictionaries(_any(args[0]), _any(args[1]), max_size=3),
    types.UnionType: lambda args: st.one_of([_any(arg) for arg in args]),
    Union: lambda args: st.one_of([_any(arg) for arg in args]),
}
