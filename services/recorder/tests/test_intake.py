"""From bytes to a batch, and the chain of the audit log."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import messages as m
from common.messages.base import Message
from common.runtime.codec import encode_envelope
from common.runtime.redis import PRICES, TAPE
from common.runtime.tape import Record
from common.testing import strategies
from common.testing.builders import EUR_USD, a, envelope
from recorder.audit import GENESIS, first_break, sealed
from recorder.intake import batch_of, set_aside
from recorder.projections import project


def record(seq: int, message: Message) -> Record:
    return Record(seq, encode_envelope(envelope(message)), 0)


@given(st.lists(strategies.messages(), min_size=1, max_size=6))
def test_a_batch_is_the_sum_of_its_messages(said: list[Message]) -> None:
    records = [record(seq, message) for seq, message in enumerate(said, start=8)]
    whole = batch_of(records, 7)
    assert [row[0] for row in whole.tape] == [one.seq for one in records]
    assert whole.position.seq == records[-1].seq
    parts = [batch_of([one], one.seq - 1) for one in records]
    for table, rows in whole.rows.items():
        assert rows == [row for part in parts for row in part.rows.get(table, ())]
    hot: dict[tuple[str, str], str] = {}
    for part in parts:
        hot |= part.hot
    assert whole.hot == hot


def test_of_a_field_that_changes_twice_only_the_last_value_is_kept() -> None:
    said = [a(m.MarketSlice, quotes=(), step=step) for step in (1, 2)]
    batch = batch_of([record(1, said[0]), record(2, said[1])], 0)
    assert '"seq":2' in batch.hot[PRICES, EUR_USD]
    assert batch.hot[TAPE, "seq"] == "2"


@pytest.mark.req("PLT-02")
def test_bytes_that_are_no_message_are_set_aside_whole() -> None:
    batch = batch_of([Record(1, b"\xff{", 0), record(2, a(m.RiskStep))], 0)
    assert [(letter.seq, letter.payload) for letter in batch.dead] == [(1, b"\xff{")]
    assert [row[0] for row in batch.tape] == [2]
    assert set_aside(record(3, a(m.RiskStep)), "too large").position.seq == 3


def test_a_hole_in_the_tape_is_noted() -> None:
    batch = batch_of([record(5, a(m.RiskStep)), record(9, a(m.RiskStep))], 4)
    assert [(letter.seq, letter.reason) for letter in batch.dead] == [(6, "the tape has no messages from 6 to 8")]


def test_a_character_zero_does_not_stop_the_recording() -> None:
    said = a(m.HaltTrading, reason="null \x00 byte, and a backslash \\u0000")
    (row,) = batch_of([record(1, said)], 0).rows["audit_log"]
    assert row[6] == "null \ufffd byte, and a backslash \\u0000"


def entries(reasons: list[str]) -> list[tuple[Any, ...]]:
    commands = [a(m.HaltTrading, reason=reason) for reason in reasons]
    return [project(seq, envelope(command), command)[0].row for seq, command in enumerate(commands)]


@given(st.lists(st.text(max_size=5), min_size=1, max_size=6), st.data())
def test_a_changed_removed_or_moved_audit_entry_is_found(reasons: list[str], data: st.DataObject) -> None:
    log = sealed(GENESIS, entries(reasons))
    assert first_break(log) is None
    place = data.draw(st.integers(0, len(log) - 1))
    forged = [*log]
    forged[place] = (*log[place][:6], log[place][6] + "!", *log[place][7:])
    assert first_break(forged) == place
    if place < len(log) - 1:
        assert first_break(log[:place] + log[place + 1 :]) == place + 1


def test_the_audit_chain_goes_on_where_the_last_batch_ended() -> None:
    log = entries(["a", "b", "c"])
    first = sealed(GENESIS, log[:2])
    assert first + sealed(first[-1][-1], log[2:]) == sealed(GENESIS, log)
