"""The drills themselves, as small as they can be: that they run, and that they see what they are there to see."""

from __future__ import annotations

from typing import Any

import pytest
from tests.chaos import killing, recovery
from tests.chaos.failovers import stale_acted_on, two_speakers
from tests.chaos.plant import plant
from tests.chaos.targets import TARGETS, missed
from tests.chaos.voices import Said

from common.messages import RiskStep
from common.messages.control import LeaseTaken
from common.testing.builders import a
from execution.reference_venue.audit import Entry


@pytest.mark.integration
@pytest.mark.timeout(120)
@pytest.mark.req("PLT-02", "EXE-01")
async def test_orders_survive_the_death_of_everything_and_a_rolling_restart() -> None:
    async with plant() as made:
        killed = await killing.drill(made, orders=150, every_s=3.0, misbehave=0.05)
        rolled = await recovery.roll(made)
    print(f"\n{killed}\n{rolled}")
    assert killed["kills"] >= 3
    assert missed({"kills": killed, "rolling": rolled}) == []


def said(seq: int, cause: tuple[int, int], message: Any = None) -> Said:
    return Said(seq, "risk_guardian", cause, 0, 0, message or a(RiskStep))


def test_two_speakers_are_seen() -> None:
    alone = [said(1, (1, 0)), said(2, (1, 1)), said(3, (4, 0))]
    assert two_speakers(alone) == []
    assert two_speakers([*alone, said(4, (4, 0))]) == [4]
    assert two_speakers([*alone, said(4, (1, 2))]) == [4]
    taken = [said(seq, (-1, -1), a(LeaseTaken, token=token)) for seq, token in ((1, 5), (2, 6), (3, 6))]
    assert two_speakers(taken) == [3]


def test_what_a_stale_holder_gets_done_is_seen() -> None:
    def entries(*tokens: int) -> list[Entry]:
        return [Entry(at_ns=0, request="SEND", client_order_id="o", token=token, done=True) for token in tokens]

    assert stale_acted_on(entries(1, 1, 2)) == 0
    assert stale_acted_on(entries(1, 2, 1)) == 1


def test_a_figure_beyond_its_target_is_a_miss_and_so_is_a_drill_that_broke_off() -> None:
    assert missed({}) == []
    assert missed({"kills": {"broken": "no leader"}}) == ["kills: no leader"]
    fine = {"lost": 0, "duplicated": 0, "faults": {}, "unasked_ends": {}}
    assert missed({"kills": fine}) == []
    assert missed({"kills": {**fine, "lost": 1}}) == ["kills: lost is 1, wanted 0"]
    assert len({(target.drill, target.figure) for target in TARGETS}) == len(TARGETS)
