"""Hours in which an instrument is traded: new risk outside them is denied or held small, and getting out never waits (REG-12)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import ConfigError
from common.messages import OrderApproved, OrderDenied
from common.model.enums import DenyCode
from common.model.instrument import Instrument
from common.model.time import NS_PER_DAY, NS_PER_HOUR, to_datetime
from common.model.trading_sessions import session
from common.runtime.settings import section
from common.testing.builders import EUR_USD, T0, a
from risk_guardian.settings import Settings
from risk_guardian.windows import WindowSettings

MIDNIGHT = T0 // NS_PER_DAY * NS_PER_DAY


def at(guard: Any, hour: int, **windows: Any) -> Any:
    """A guardian whose last slice closed at that hour of UTC, with a fresh price."""
    guardian = guard(settings={"windows": WindowSettings(**windows)})
    guardian.hour((hour * NS_PER_HOUR + MIDNIGHT - guardian.ts) // NS_PER_HOUR + 24, eur=1.1, yen=110.0)
    return guardian


@pytest.mark.req("REG-12")
def test_new_risk_outside_the_window_is_denied_with_what_it_would_have_made_of_the_position(guard: Any) -> None:
    hours = {"EUR-USD": (7, 8)}
    denied = at(guard, 9, hours=hours).judge(1000)
    assert isinstance(denied, OrderDenied)
    assert (denied.code, denied.observed, denied.limit) == (DenyCode.OUTSIDE_WINDOW, 1000, 0)
    for hour in (7, 8):
        assert isinstance(at(guard, hour, hours=hours).judge(1000), OrderApproved)
    assert at(guard, 6, hours=hours).judge(1000).code is DenyCode.OUTSIDE_WINDOW


@pytest.mark.req("REG-12")
def test_without_windows_every_hour_is_one(guard: Any) -> None:
    for hour in range(24):
        assert isinstance(at(guard, hour).judge(1000), OrderApproved)


@pytest.mark.req("REG-12")
def test_getting_out_never_waits_and_an_order_through_zero_only_gets_out(guard: Any) -> None:
    guardian = at(guard, 9, hours={"*": (7,)})
    guardian.hold(1000)
    guardian.hour(24, eur=1.1)
    assert guardian.judge(-400).order.qty == 400
    through = guardian.judge(-1500)
    assert (through.order.qty, through.rule) == (600, "OUTSIDE_WINDOW: 900 over 0.0")
    assert isinstance(guardian.judge(100), OrderDenied)


@pytest.mark.req("REG-12")
def test_outside_a_position_is_built_up_to_its_share_and_asking_again_adds_nothing(guard: Any) -> None:
    guardian = at(guard, 9, hours={"*": (7,)}, outside_factor=0.25)
    first = guardian.judge(1000)
    assert (first.order.qty, first.resized_from, first.rule) == (250, 1000, "OUTSIDE_WINDOW: 1000 over 250.00")
    guardian.fill(first.order, 1.1)
    again = guardian.judge(750)  # what is left to the target
    assert (again.code, again.observed, again.limit) == (DenyCode.OUTSIDE_WINDOW, 1000, 250)
    assert guardian.judge(2750).order.qty == 500  # another target: 3000


@pytest.mark.req("REG-12")
def test_the_instrument_goes_before_its_symbol_and_the_symbol_before_all_others() -> None:
    hours = {EUR_USD: (1,), "EUR-USD": (2,), "*": (3,)}
    windows = WindowSettings(hours=hours)
    eur, yen = a(Instrument), a(Instrument, instrument_id="USD-JPY.ECB")
    other = a(Instrument, instrument_id="EUR-USD.OTHER")
    for instrument, hour in ((eur, 1), (other, 2), (yen, 3)):
        admitted = [at for at in range(24) if windows.admits(instrument, MIDNIGHT + at * NS_PER_HOUR)]
        assert admitted == [hour]


@pytest.mark.req("REG-12")
@pytest.mark.parametrize("key", ["EURUSD", "EUR_USD", "EUR/USD", "eur-usd", "eurusd"])
def test_a_pair_is_known_by_every_spelling_that_data_is_known_by(key: str) -> None:
    eur, yen, ts = a(Instrument), a(Instrument, instrument_id="USD-JPY.ECB"), MIDNIGHT
    for windows in (WindowSettings(hours={key: (9,), "*": (8,)}), WindowSettings(hours={key: (9,)})):
        assert [at for at in range(24) if windows.admits(eur, ts + at * NS_PER_HOUR)] == [9]
    assert windows.admits(yen, ts)
    perpetual = a(Instrument, instrument_id="BTC-USDT-PERP.X")
    assert not WindowSettings(sessions={"BTCUSDTPERP": ()}).admits(perpetual, ts)


@pytest.mark.req("REG-12")
@given(st.integers(0, 20_000 * 24 * 60))
def test_windows_follow_the_clock_of_their_zone_and_sessions_their_cities(minute: int) -> None:
    ts, instrument = minute * 60 * 10**9, a(Instrument)
    by_hour = WindowSettings(hours={"*": (9,)}, zone="Europe/London")
    local = to_datetime(ts).astimezone(ZoneInfo("Europe/London"))
    assert by_hour.admits(instrument, ts) == (local.hour == 9)
    by_session = WindowSettings(sessions={"*": ("Tokyo", "London")})
    assert by_session.admits(instrument, ts) == (session(ts) in {"Tokyo", "London"})
    either = WindowSettings(hours={"*": (9,)}, sessions=by_session.sessions, zone="Europe/London")
    assert either.admits(instrument, ts) == (by_hour.admits(instrument, ts) or by_session.admits(instrument, ts))


@pytest.mark.req("REG-12")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # which only makes what it is asked for
@given(
    st.integers(-2000, 2000),
    st.integers(-3000, 3000).filter(bool),
    st.sampled_from(["0", "0.25", "0.5", "0.75", "1"]),
)
def test_what_passes_outside_either_shrinks_the_position_or_leaves_at_most_the_share(
    guard: Any, held: int, qty: int, share: str
) -> None:
    guardian = at(guard, 9, hours={"*": (7,)}, outside_factor=float(share))
    if held:
        guardian.hold(held)
        guardian.hour(24, eur=1.1)
    verdict = guardian.judge(qty)
    passed = verdict.order.signed_qty if isinstance(verdict, OrderApproved) else Decimal(0)
    after, allowed = held + passed, abs(held + qty) * Decimal(share)
    assert abs(after) <= max(abs(held) if after * held > 0 else 0, allowed)
    assert passed * qty >= 0
    if held * qty < 0:  # what gets out of the position always passes
        assert abs(passed) >= min(abs(held), abs(qty))


@pytest.mark.req("REG-12")
@pytest.mark.parametrize(
    ("windows", "named"),
    [
        ({"hours": {"*": [24]}}, "risk_guardian.windows.hours"),
        ({"sessions": {"*": ["Paris"]}}, "Paris"),
        ({"hours": {"EURUSD": [8], "EUR-USD": [9]}}, "one spelling of EUR-USD, got EURUSD too"),
        ({"hours": {"eur-usd": [8]}, "sessions": {"EUR-USD": ["London"]}}, "one spelling of EUR-USD, got eur-usd too"),
        ({"zone": "Europe/Atlantis"}, "Europe/Atlantis"),
        ({"outside_factor": 1.5}, "risk_guardian.windows.outside_factor"),
    ],
)
def test_a_window_that_is_none_is_refused_at_the_start(windows: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        section({"risk_guardian": {"windows": windows}}, "risk_guardian", Settings)
    assert named in str(refused.value)
