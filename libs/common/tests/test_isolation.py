"""A feature that throws is counted, switched off, reported, and tried again; the rest goes on (PLT-08)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.isolation import Features, Isolation, IsolationSettings, blame, is_off
from common.messages import EnableFeature, FeatureChanged
from common.model.time import NS_PER_HOUR
from common.testing.builders import a

HOUR = NS_PER_HOUR


def broken() -> str:
    raise ValueError("no such thing")


class Rig:
    """One service with one feature, which is asked hour by hour."""

    def __init__(self, **settings: Any) -> None:
        self.isolation = Isolation("signals", IsolationSettings(**settings))
        self.features: Features = {}
        self.ts = 0

    def ask(self, *healthy: bool, hours: int = 1) -> str:
        """The answers of one step: one letter a call, o for what it returned, - for its substitute."""
        self.ts += hours * HOUR
        return "".join(
            self.isolation.attempt(self.features, "f", self.ts, (lambda: "o") if good else broken, "-")
            for good in healthy
        )

    def said(self) -> list[tuple[bool, int]]:
        return [(change.enabled, change.failures) for change in self.isolation.said("fx", self.ts)]

    def enable(self, **changes: Any) -> None:
        command = {"service": "signals", "feature": "f", **changes}
        self.isolation.enable(self.features, a(EnableFeature, **command))


@pytest.mark.req("PLT-08")
def test_three_steps_in_a_row_with_a_failure_switch_a_feature_off_and_that_is_said() -> None:
    rig = Rig()
    assert [rig.ask(False), rig.said(), rig.ask(False), rig.said()] == ["-", [(True, 1)], "-", []]
    assert not is_off(rig.features, "f")
    assert [rig.ask(False), rig.said(), rig.said()] == ["-", [(False, 3)], []]
    assert is_off(rig.features, "f")
    assert rig.ask(True) == "-"


@pytest.mark.req("PLT-08")
def test_a_step_without_a_failure_begins_the_count_anew() -> None:
    rig = Rig()
    assert [rig.ask(good) for good in (False, False, True, False, False)] == ["-", "-", "o", "-", "-"]
    assert not is_off(rig.features, "f")
    rig.ask(False)
    assert is_off(rig.features, "f")


@pytest.mark.req("PLT-08")
def test_failures_are_counted_by_step_so_one_bad_instrument_among_good_ones_is_found() -> None:
    rig = Rig()
    assert rig.ask(True, False, False, False, False, True) == "o----o"
    assert rig.ask(True, False, True) == "o-o"
    assert not is_off(rig.features, "f")
    assert rig.ask(True, False, True) == "o--"
    assert is_off(rig.features, "f")


@pytest.mark.req("PLT-08")
def test_it_is_tried_again_after_the_cool_down_on_probation() -> None:
    rig = Rig(disable_after=2, cool_down_hours=5)
    rig.ask(False)
    rig.ask(False)
    assert rig.ask(True, hours=4) == "-"
    rig.said()
    assert [rig.ask(False), rig.said()] == ["-", [(True, 2), (False, 3)]]
    assert [rig.ask(True, hours=5), rig.said()] == ["o", [(True, 3)]]
    assert [rig.ask(False), is_off(rig.features, "f")] == ["-", False]  # a good step ended the probation


@pytest.mark.req("PLT-08")
def test_without_a_cool_down_only_an_operator_switches_it_on() -> None:
    rig = Rig(disable_after=1, cool_down_hours=0)
    rig.ask(False)
    rig.said()
    assert rig.ask(True, hours=100_000) == "-"
    rig.enable(service="portfolio")
    rig.enable(feature="g")
    assert rig.ask(True) == "-"
    rig.enable(author="ada", reason="repaired")
    (change,) = rig.isolation.said("fx", 7)
    assert change == a(
        FeatureChanged,
        ts_event=7,
        book="fx",
        service="signals",
        feature="f",
        enabled=True,
        failures=1,
        reason="ada: repaired",
    )
    assert rig.ask(True) == "o"
    rig.enable()
    assert rig.said() == []


@pytest.mark.req("PLT-08")
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_is_not_the_features_fault_passes(error: type[BaseException]) -> None:
    def dies() -> None:
        raise error

    rig = Rig()
    with pytest.raises(error):
        rig.isolation.attempt(rig.features, "f", 1, dies, None)
    assert rig.features == {}


@pytest.mark.req("PLT-08")
def test_a_healthy_feature_leaves_no_trace() -> None:
    rig = Rig()
    rig.ask(True, True)
    assert (rig.features, rig.said()) == ({}, [])


@pytest.mark.req("PLT-08")
@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=4), max_size=12), st.integers(1, 4))
def test_it_goes_off_exactly_when_so_many_steps_in_a_row_held_a_failure(steps: list[list[bool]], after: int) -> None:
    rig, row = Rig(disable_after=after, cool_down_hours=0), 0
    for calls in steps:
        rig.ask(*calls)
        row = row if row >= after else 0 if all(calls) else row + 1
        assert is_off(rig.features, "f") is (row >= after)


def test_the_blame_names_error_file_and_line_and_nothing_that_differs_between_runs() -> None:
    with pytest.raises(ValueError, match="no such thing") as caught:
        broken()
    assert blame(caught.value, __file__).startswith("ValueError: no such thing (test_isolation.py:")
    assert blame(caught.value) == blame(caught.value, __file__)
    assert blame(caught.value, "/other/file.py") == "ValueError: no such thing (file.py:?)"
    assert blame(TypeError(f"not {object()!r}")) == "TypeError: not <object object at 0x> (?:?)"


def test_an_error_that_cannot_even_be_printed_is_a_failure_like_any_other() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    def fails() -> None:
        raise Mute

    rig = Rig()
    assert rig.isolation.attempt(rig.features, "f", 1, fails, None) is None
    assert "Mute" in rig.features["f"].reason
