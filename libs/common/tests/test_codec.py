"""The wire: what goes in comes out, and what is not a message is refused with one kind of error."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import DecodeError
from common.messages import MESSAGES, Message, OrderCanceled
from common.runtime import codec, subjects
from common.testing import strategies
from common.testing.builders import a, envelope


def _wire(message: Message) -> bytes:
    return codec.encode_envelope(envelope(message))


def _read(payload: bytes) -> Message:
    return codec.decode(codec.decode_envelope(payload))


WIRES = tuple(_wire(a(kind)) for kind in MESSAGES)


@pytest.mark.req("PLT-02")
@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.TYPE)
def test_a_message_survives_the_wire(kind: type[Message]) -> None:
    @settings(max_examples=40)
    @given(strategies.of(kind))
    def survives(message: Message) -> None:
        wire = _wire(message)
        assert _read(wire) == message
        assert _wire(_read(wire)) == wire

    survives()


@given(strategies.messages())
def test_every_message_has_a_subject_that_starts_with_its_type(message: Message) -> None:
    assert subjects.subject(message).startswith(message.TYPE)


@pytest.mark.req("PLT-02")
@pytest.mark.parametrize("unknown", ["order.filled.v2", "order.filled", "", "order.teleported.v1"])
def test_an_unknown_type_or_version_is_never_misread(unknown: str) -> None:
    with pytest.raises(DecodeError, match="unknown message type or version"):
        codec.decode(envelope(a(OrderCanceled), type=unknown))


def test_data_of_another_type_is_refused_with_the_place_that_does_not_fit() -> None:
    with pytest.raises(DecodeError, match=r"order\.canceled\.v1: .*`\$\.leaves_qty`"):
        codec.decode(envelope(a(OrderCanceled), data=codec.encode(a(OrderCanceled)).replace(b'"400"', b'"many"')))


def test_a_field_of_a_later_build_is_ignored() -> None:
    data = codec.encode(a(OrderCanceled)).replace(b"{", b'{"added_later":1,', 1)
    assert codec.decode(envelope(a(OrderCanceled), data=msgspec.Raw(data))) == a(OrderCanceled)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        WIRES[0][:-1],
        WIRES[0].replace(b'"test"', b'"\xff"', 1),
        WIRES[0].replace(b'"data":{', b'"data":{"deep":' + b"[" * 100_000 + b"]" * 100_000 + b","),
    ],
    ids=["empty", "nul", "not utf-8", "null", "list", "no fields", "deep", "cut", "bad utf-8 inside", "deep inside"],
)
def test_what_is_not_a_message_is_a_decode_error(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        _read(payload)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_decode_error(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        _read(payload)


@given(st.sampled_from(WIRES), st.data())
def test_a_damaged_message_is_read_as_its_type_or_is_a_decode_error(wire: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(wire) - 1))
    end = data.draw(st.integers(start, min(len(wire), start + 8)))
    damaged = wire[:start] + data.draw(st.binary(max_size=8)) + wire[end:]
    with suppress(DecodeError):
        assert isinstance(_read(damaged), MESSAGES)
