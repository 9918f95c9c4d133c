"""Regimes set by hand: in force from the next bar on, said, and over by themselves in data time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages.control import InstrumentsDefined
from common.messages.market_data import Bar, MarketSlice
from common.messages.regime import OverrideRegime, RegimeOverridden, RegimeStep
from common.model.enums import Regime
from common.model.time import NS_PER_MINUTE, Timeframe
from common.runtime import snapshots
from common.testing.builders import a
from regime.core import RegimeDetector
from regime.settings import Settings

EUR, JPY = "EUR-USD.SIM", "USD-JPY.SIM"


def slice_at(minute: int) -> MarketSlice:
    bars = tuple(
        Bar(instrument_id=name, timeframe=Timeframe.M1, open=1.0, high=1.01, low=0.99, close=1.0) for name in (EUR, JPY)
    )
    return MarketSlice(ts_event=minute * NS_PER_MINUTE, book="sim", step=minute, bars=bars)


def word(regime: Regime | None, until: int, instrument_id: str = EUR) -> OverrideRegime:
    return OverrideRegime(
        ts_event=10**18,
        book="sim",
        author="ann",
        reason="the bank speaks",
        instrument_id=instrument_id,
        regime=regime,
        expires_ns=until * NS_PER_MINUTE,
    )


def regimes(said: Any) -> dict[str, tuple[Regime, str]]:
    step = said[-1]
    assert isinstance(step, RegimeStep)
    return {reading.instrument_id: (reading.regime, reading.override) for reading in step.readings}


def lifted(said: Any) -> list[str]:
    return [one.instrument_id for one in said if isinstance(one, RegimeOverridden) and one.regime is None]


@pytest.fixture
def detector() -> RegimeDetector:
    made = RegimeDetector(Settings())
    made.handle(slice_at(1))
    return made


@pytest.mark.req("REG-08")
def test_an_override_is_said_holds_for_its_instrument_and_reverts_by_itself(detector: RegimeDetector) -> None:
    (said,) = detector.handle(word(Regime.CRISIS, until=5))
    assert said == RegimeOverridden(
        ts_event=NS_PER_MINUTE,
        book="sim",
        instrument_id=EUR,
        regime=Regime.CRISIS,
        expires_ns=5 * NS_PER_MINUTE,
        author="ann",
        reason="the bank speaks",
    )
    for minute in (2, 3, 4):
        assert regimes(detector.handle(slice_at(minute))) == {
            EUR: (Regime.CRISIS, "ann"),
            JPY: (Regime.UNCERTAIN, ""),
        }
    over = detector.handle(slice_at(5))
    assert [(one.regime, one.reason) for one in over[:-1]] == [(None, "expired")]
    assert regimes(over)[EUR] == (Regime.UNCERTAIN, "")
    assert len(detector.handle(slice_at(6))) == 1


@pytest.mark.req("REG-08")
def test_while_it_holds_the_bars_are_judged_on_beneath_it(detector: RegimeDetector) -> None:
    steady = RegimeDetector(Settings())
    steady.handle(slice_at(1))
    detector.handle(word(Regime.VOLATILE, until=40))
    for minute in range(2, 60):
        ours, theirs = detector.handle(slice_at(minute))[-1], steady.handle(slice_at(minute))[-1]
        assert [one.candidate for one in ours.readings] == [one.candidate for one in theirs.readings]
        if minute >= 40:
            assert ours == theirs


@pytest.mark.req("REG-08")
def test_one_instruments_override_goes_before_that_of_all_which_a_later_word_for_all_replaces(
    detector: RegimeDetector,
) -> None:
    detector.handle(word(Regime.CRISIS, until=50, instrument_id=""))
    detector.handle(word(Regime.RANGING, until=50))
    assert regimes(detector.handle(slice_at(2))) == {EUR: (Regime.RANGING, "ann"), JPY: (Regime.CRISIS, "ann")}
    assert lifted(detector.handle(word(Regime.VOLATILE, until=50, instrument_id=""))) == [EUR]
    assert {regime for regime, _ in regimes(detector.handle(slice_at(3))).values()} == {Regime.VOLATILE}
    assert lifted(detector.handle(word(None, until=50, instrument_id=""))) == [""]
    assert {regime for regime, _ in regimes(detector.handle(slice_at(4))).values()} == {Regime.UNCERTAIN}


@pytest.mark.req("REG-08")
def test_a_word_that_comes_too_late_or_for_nobody_changes_nothing_and_says_why(detector: RegimeDetector) -> None:
    detector.handle(a(InstrumentsDefined))
    known = detector.state.overrides.known[0]
    (late,) = detector.handle(word(Regime.CRISIS, until=1, instrument_id=known))
    (nobody,) = detector.handle(word(Regime.CRISIS, until=9, instrument_id="XXX-YYY.ZZZ"))
    assert (late.regime, nobody.regime) == (None, None)
    assert late.reason.startswith("already over")
    assert nobody.reason.startswith("unknown instrument XXX-YYY.ZZZ")
    assert not detector.state.overrides.running


@pytest.mark.req("REG-08")
def test_who_lifts_what_was_never_set_for_an_instrument_is_told_what_it_is_still_under(
    detector: RegimeDetector,
) -> None:
    (nothing,) = detector.handle(word(None, until=9))
    assert nothing.reason == "nothing was set; the bank speaks"
    detector.handle(word(Regime.CRISIS, until=50, instrument_id=""))
    (still,) = detector.handle(word(None, until=9))
    assert still.reason == (
        "nothing was set for it alone, CRISIS for all goes on until 1970-01-01T00:50:00Z; the bank speaks"
    )
    assert regimes(detector.handle(slice_at(2)))[EUR] == (Regime.CRISIS, "ann")


words = st.builds(
    word,
    regime=st.none() | st.sampled_from(Regime),
    until=st.integers(0, 40),
    instrument_id=st.sampled_from(["", EUR, JPY]),
)


@pytest.mark.req("REG-08")
@given(content=st.lists(st.none() | words, max_size=40), cut=st.integers(0, 40))
def test_whatever_is_said_what_runs_is_what_was_announced_even_after_a_restart(
    content: list[OverrideRegime | None], cut: int
) -> None:
    detector, running, minute = RegimeDetector(Settings()), dict[str, Regime](), 0
    for number, message in enumerate(content):
        if number == cut:
            payload, detector = snapshots.encode(detector, number, "mark"), RegimeDetector(Settings())
            snapshots.restore(detector, payload, "mark")
        minute += message is None
        said = detector.handle(slice_at(minute) if message is None else message)
        for one in said:
            if isinstance(one, RegimeOverridden):
                assert msgspec.json.decode(msgspec.json.encode(one), type=RegimeOverridden) == one
                running.pop(one.instrument_id, None)
                if one.regime is not None:
                    running[one.instrument_id] = one.regime
        assert {key: one.regime for key, one in detector.state.overrides.running.items()} == running
        if message is None:
            for name, (regime, author) in regimes(said).items():
                wanted = running.get(name) or running.get("")
                assert (regime if author else None) == wanted
