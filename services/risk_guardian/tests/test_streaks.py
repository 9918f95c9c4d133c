"""Losing streaks: virtual trades per strategy, and a pause for review after too many losses in a row (RSK-07)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages import HaltScope, PortfolioStep, RiskStep, ScopeHalted
from common.messages.portfolio import Contribution, Target
from common.model.instrument import Instrument
from common.testing.builders import EUR_USD, T0, a
from risk_guardian.state import State
from risk_guardian.streaks import StreakSettings, losers

SPREAD = Decimal("0.0002")


def wants(qty: float, strategy_id: str = "sma", timeframe: str = "1d") -> Contribution:
    return a(Contribution, strategy_id=strategy_id, timeframe=timeframe, signed_qty=Decimal(str(qty)))


class Track:
    """A strategy's shares in one instrument, at the guardian's prices."""

    def __init__(self, max_losses: int = 10) -> None:
        self.settings = StreakSettings(max_losses=max_losses)
        self.state = State(ts=T0, instruments={EUR_USD: a(Instrument, half_spread=SPREAD)})

    def at(self, px: float, *shares: Contribution) -> list[tuple[str, int]]:
        self.state.last_px[EUR_USD] = Decimal(str(px))
        target = a(Target, instrument_id=EUR_USD, contributions=shares)
        return list(losers(self.settings, self.state, [target]))

    def losses(self, strategy_id: str = "sma") -> int | None:
        return self.state.streaks.losses.get(strategy_id)


@pytest.mark.req("RSK-07")
@pytest.mark.parametrize(
    ("qty", "exit_px", "losses"),
    [(100, 1.0, 1), (100, 1.2, 0), (-100, 1.2, 1), (-100, 1.0, 0), (100, 1.1003, 1), (100, 1.1004, 0)],
)
def test_a_trade_wins_or_loses_at_our_own_price_with_the_spread_paid_twice(
    qty: float, exit_px: float, losses: int
) -> None:
    track = Track()
    track.at(1.1, wants(qty))
    assert track.losses() is None
    track.at(exit_px)
    assert track.losses() == losses


@pytest.mark.req("RSK-07")
def test_what_is_taken_off_on_the_way_counts_with_the_trade() -> None:
    track = Track()
    track.at(1.1, wants(100))
    track.at(1.3, wants(20))  # 16 gained
    track.at(1.0)  # 2 lost on the rest
    assert track.losses() == 0


@pytest.mark.req("RSK-07")
def test_a_flip_ends_one_trade_and_begins_the_next() -> None:
    track = Track()
    track.at(1.1, wants(100))
    track.at(1.0, wants(-100))
    assert track.losses() == 1
    track.at(0.9)
    assert track.losses() == 0


@pytest.mark.req("RSK-07")
def test_ten_losses_in_a_row_over_all_instruments_and_timeframes_are_reported_once() -> None:
    track, reported = Track(), []
    for _ in range(15):
        track.at(1.1, wants(100), wants(100, timeframe="1w"), wants(-100, strategy_id="contrarian"))
        reported.append(track.at(1.0))
    assert reported == [[]] * 4 + [[("sma", 10)]] + [[]] * 10
    assert track.losses("contrarian") == 0


@pytest.mark.req("RSK-07")
def test_one_win_begins_the_count_anew() -> None:
    track = Track(max_losses=3)
    for px in (1.0, 1.0, 1.2, 1.0, 1.0):
        track.at(1.1, wants(100))
        assert track.at(px) == []
    track.at(1.1, wants(100))
    assert track.at(1.0) == [("sma", 3)]


@pytest.mark.req("RSK-07")
@given(st.lists(st.tuples(st.integers(-5, 5), st.sampled_from([0.9, 1.0, 1.1, 1.2])), max_size=30))
def test_the_profit_of_all_virtual_trades_is_that_of_the_share_held_throughout(path: list[tuple[int, float]]) -> None:
    """Cash of open shares starts anew with each trade, so that a trade's outcome is its own: recomputed here by position."""
    track, held, cash, outcomes = Track(max_losses=1), 0, 0.0, []
    for qty, px in [*path, (0, 1.0)]:
        track.state.streaks.paused.clear()
        lost = track.at(px, *([wants(qty)] if qty else []))
        if held and held * qty <= 0:
            cash += held * px - abs(held) * float(SPREAD)
            outcomes.append(cash < -1e-9)
            assert bool(lost) == outcomes[-1] or abs(cash) < 1e-9
            held, cash = 0, 0.0
        cash -= (qty - held) * px + abs(qty - held) * float(SPREAD)
        held = qty
    assert not track.state.streaks.shares[EUR_USD]


class Paused:
    """A guardian that pauses after two losses, and has just done so."""

    def __init__(self, guard: Any, **settings: Any) -> None:
        self.guardian = guard(settings={"streaks": StreakSettings(max_losses=2, **settings)})
        self.said = [message for px in (1.1, 1.08, 1.1, 1.08) for message in self.hour(px, flat=px < 1.1)]

    def hour(self, px: float, *, flat: bool = True, hours: int = 1) -> list[Any]:
        said = self.guardian.hour(hours, eur=px)
        shares = () if flat else (wants(100),)
        targets = (a(Target, instrument_id=EUR_USD, contributions=shares),)
        step = a(PortfolioStep, ts_event=self.guardian.ts, step=self.guardian.step, orders=(), targets=targets)
        return [*said, *self.guardian.tell(step)]


@pytest.mark.req("RSK-07", "RSK-12")
def test_a_losing_strategy_is_paused_with_an_alert_before_the_step_is_closed(guard: Any) -> None:
    paused = Paused(guard)
    halted, closing = paused.said[-2:]
    assert isinstance(closing, RiskStep)
    assert isinstance(halted, ScopeHalted)
    assert (halted.strategy_id, halted.instrument_id, halted.halted) == ("sma", "", True)
    assert halted.reason == "2 losing trades in a row"
    assert [each.runbook for each in paused.guardian.noted if "sma" in getattr(each, "summary", "")] == [
        "scope-halted.md"
    ]


@pytest.mark.req("RSK-07")
def test_a_review_lifts_the_pause_and_the_count_begins_anew(guard: Any) -> None:
    paused = Paused(guard, lift_after_days=0)
    assert not any(isinstance(said, ScopeHalted) for said in paused.hour(1.1, hours=24 * 400))
    (lifted,) = paused.guardian.tell(a(HaltScope, strategy_id="sma", instrument_id="", halted=False))
    assert not lifted.halted
    assert paused.guardian.core.state.streaks.losses == {}


@pytest.mark.req("RSK-07")
def test_nobody_reviews_and_the_strategy_is_on_again_after_its_time(guard: Any) -> None:
    paused = Paused(guard, lift_after_days=30)
    assert not any(isinstance(said, ScopeHalted) for said in paused.hour(1.1, hours=24 * 30 - 1))
    (lifted,) = [said for said in paused.hour(1.1) if isinstance(said, ScopeHalted)]
    assert (lifted.strategy_id, lifted.halted, lifted.reason) == ("sma", False, "paused for 30 days")


@pytest.mark.req("RSK-07")
def test_what_an_operator_halts_no_time_lifts(guard: Any) -> None:
    paused = Paused(guard, lift_after_days=30)
    paused.guardian.tell(a(HaltScope, strategy_id="sma", instrument_id="", halted=True))
    assert not any(isinstance(said, ScopeHalted) for said in paused.hour(1.1, hours=24 * 60))
