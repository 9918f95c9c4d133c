"""A strategy that fails is counted, switched off, taken back and tried again; the others trade on (PLT-08)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from common.isolation import IsolationSettings
from common.messages import EnableFeature, FeatureChanged
from common.messages.market_data import MarketSlice
from common.messages.regime import RegimeStep
from common.model.enums import Direction
from common.runtime import snapshots
from common.testing.builders import a
from signals.api import Context, Opinion, by_sign
from signals.core import Signals
from signals.settings import Settings

same_fixtures = examples(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
ONLY_BY_HAND = Settings(isolation=IsolationSettings(cool_down_hours=0))


def follows_until_it_breaks(ctx: Context) -> Opinion | None:
    """LONG on .1, SHORT on .2, a failure on .3, nothing else."""
    word = round(ctx.bar.close * 10) % 10
    if word == 3:
        raise ValueError("three")
    return None if word == 0 else by_sign(1.0 if word == 1 else -1.0, full=1.0, reason="follows")


@pytest.fixture
def words() -> Any:
    """What one strategy said, a letter a bar."""
    return lambda steps, who="scripted": "".join(
        next((signal.direction[0] for signal in step.signals if signal.strategy_id == who), ".") for step in steps[2:]
    )


@pytest.mark.req("PLT-08")
def test_after_three_failing_bars_a_strategy_is_off_its_opinion_taken_back_once_and_that_is_said_first(
    run: Any, scripted: Any, script: Any, words: Any
) -> None:
    changes: list[FeatureChanged] = []
    steps = run(
        script("LFFFF..LL"),
        strategies=[scripted(decide=follows_until_it_breaks)],
        settings=ONLY_BY_HAND,
        changes=changes,
    )
    assert words(steps) == "L..F....."
    assert [(c.service, c.feature, c.enabled, c.failures) for c in changes] == [
        ("signals", "strategy:scripted", True, 1),
        ("signals", "strategy:scripted", False, 3),
    ]
    assert changes[1].reason.startswith("ValueError: three (test_isolation_of_strategies.py:")
    (flat,) = steps[5].signals
    assert flat.reason.startswith("switched off: ValueError: three")
    assert (flat.ref_px, flat.instrument_id, flat.timeframe) == (100.3, "EUR-USD.SIM", "1d")
    assert changes[1].ts_event == steps[5].ts_event


@pytest.mark.req("PLT-08")
def test_the_others_trade_on_as_if_nothing_had_happened(run: Any, scripted: Any, script: Any, words: Any) -> None:
    broken = scripted(id="broken", decide=lambda ctx: 1 / 0)
    alone = run(script("LS.FLSLFS"), strategies=[scripted()])
    beside = run(script("LS.FLSLFS"), strategies=[broken, scripted()])
    assert words(beside) == words(alone) == "LS.FLSLFS"
    assert words(beside, "broken") == "........."


@pytest.mark.req("PLT-08")
def test_a_failure_before_that_is_heard_like_silence(run: Any, scripted: Any, script: Any, words: Any) -> None:
    strategy = scripted(decide=follows_until_it_breaks)
    assert words(run(script("LFF.FFSFF"), strategies=[strategy])) == "L.....S.."


@pytest.mark.req("PLT-08")
@pytest.mark.parametrize(
    "nonsense",
    [
        "LONG",
        float("nan"),
        {"strength": float("nan")},
        {"strength": 1.5},
        {"strength": "much"},
        {"confidence": -0.1},
        {"stop_fraction": float("inf")},
        {"direction": "UP"},
        {"direction": "LONG"},
        {"reason": None},
    ],
)
def test_nonsense_is_a_failure(run: Any, scripted: Any, script: Any, nonsense: Any) -> None:
    plain = {"direction": Direction.LONG, "strength": 0.5, "reason": "why"}
    answer = (lambda: Opinion(**{**plain, **nonsense})) if isinstance(nonsense, dict) else (lambda: nonsense)
    changes: list[FeatureChanged] = []
    strategy = scripted(decide=lambda ctx: answer())
    steps = run(script("..."), strategies=[strategy], settings=ONLY_BY_HAND, changes=changes)
    assert all(not step.signals for step in steps)
    assert [change.enabled for change in changes] == [True, False]


@pytest.mark.req("PLT-08", "SIG-01")
def test_numbers_of_numpy_are_numbers_and_can_travel(run: Any, scripted: Any, script: Any) -> None:
    strength, stop = np.float64(0.25), np.float64(0.01)
    opinion = Opinion(direction=Direction.LONG, strength=strength, reason="why", confidence=1, stop_fraction=stop)
    (signal,) = run(script("."), strategies=[scripted(decide=lambda ctx: opinion)])[1].signals
    assert [type(x) for x in (signal.strength, signal.confidence, signal.stop_fraction)] == [float, float, float]
    assert (signal.strength, signal.confidence, signal.stop_fraction) == (0.25, 1.0, 0.01)


@pytest.mark.req("PLT-08")
def test_opinions_on_all_series_are_taken_back_not_only_on_the_one_that_failed(
    walk: Any, scripted: Any, script: Any
) -> None:
    decide = follows_until_it_breaks
    core = Signals(ONLY_BY_HAND, [scripted(decide=decide)])
    pounds, euros = [walk(1, instrument_id=name)[0] for name in ("GBP-USD.SIM", "EUR-USD.SIM")]

    def step(number: int, **closes: float) -> Any:
        bars = tuple(
            type(bar)(instrument_id=bar.instrument_id, timeframe=bar.timeframe, open=px, high=px, low=px, close=px)
            for bar, px in ((euros, closes.get("eur")), (pounds, closes.get("gbp")))
            if px is not None
        )
        core.handle(MarketSlice(ts_event=number, book="sim", step=number, bars=bars))
        return core.handle(RegimeStep(ts_event=number, book="sim", step=number))

    for number in (1, 2):
        step(number, eur=100.0, gbp=200.0)
    (opened,) = step(3, eur=100.1, gbp=200.2)
    assert [s.direction for s in opened.signals] == ["LONG", "SHORT"]
    for number in (4, 5):
        step(number, eur=100.3)
    change, closed = step(6, eur=100.3)
    assert change.enabled is False
    assert [(s.instrument_id[:3], s.direction, s.ref_px) for s in closed.signals] == [
        ("EUR", "FLAT", 100.3),
        ("GBP", "FLAT", 200.2),
    ]


@pytest.mark.req("PLT-08")
def test_an_operator_or_the_cool_down_switches_it_on_again(run: Any, scripted: Any, script: Any, words: Any) -> None:
    strategy = scripted(decide=follows_until_it_breaks)
    core = Signals(ONLY_BY_HAND, [strategy])
    assert words(run(script("LFFF"), core=core)) == "L..F"
    command = a(EnableFeature, service="signals", feature="strategy:scripted", author="ada", reason="repaired")
    (change,) = core.handle(command)
    assert (change.enabled, change.reason, change.book) == (True, "ada: repaired", command.book)
    assert core.handle(command) == ()
    changes: list[FeatureChanged] = []
    run(script("F")[2:], core=core, first=7, changes=changes)
    assert [change.enabled for change in changes] == [False]  # on probation one failure is enough
    core.handle(command)
    (step,) = run(script("S")[2:], core=core, first=8)
    assert [signal.direction for signal in step.signals] == ["SHORT"]

    patient = Signals(Settings(isolation=IsolationSettings(cool_down_hours=72)), [strategy])
    assert words(run(script("LFFFLLLL"), core=patient)) == "L..F..L."  # bars are days


@pytest.mark.req("PLT-08", "SIG-01")
@same_fixtures
@given(text=st.text("LSF.", max_size=25), cut=st.integers(0, 25))
def test_a_snapshot_at_any_point_remembers_what_failed(
    run: Any, scripted: Any, script: Any, text: str, cut: int
) -> None:
    bars, strategies = script(text), [scripted(decide=follows_until_it_breaks)]
    settings = Settings(isolation=IsolationSettings(cool_down_hours=96))
    whole: list[FeatureChanged] = []
    parts: list[FeatureChanged] = []
    expected = run(bars, strategies=strategies, settings=settings, changes=whole)
    first, second = Signals(settings, strategies), Signals(settings, strategies)
    before = run(bars[:cut], core=first, changes=parts)
    snapshots.restore(second, snapshots.encode(first, 1, "mark"), "mark")
    assert before + run(bars[cut:], core=second, first=cut + 1, changes=parts) == expected
    assert parts == whole
