"""Hours are learned where there is something to learn, judged on what came later, and written only where that has paid."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.session_markets import MONDAY, instrument

from common.errors import ConfigError
from common.model.time import NS_PER_HOUR, from_datetime
from common.runtime.settings import section
from research.sessions.outcomes import Table
from research.sessions.windows import By, Preferences, Window, learn, names, parts_of, places, walk_forward, window
from research.sessions.windows_file import preferred, write
from risk_guardian.settings import Settings
from risk_guardian.windows import WindowSettings

GOOD = (13, 14, 15)
EVERY_HOUR = names(By.HOUR)


def table(
    seed: int, *, days: int = 400, good_bps: float = 0.0, other_bps: float = 0.0, name: str = "EUR-USD.X"
) -> Table:
    """An entry every hour of every day, over after one; those of the good hours earn more on average."""
    ts = MONDAY + np.arange(days * 24) * NS_PER_HOUR
    hour = np.arange(days * 24) % 24
    means = np.where(np.isin(hour, GOOD), good_bps, other_bps)
    bps = means + np.random.default_rng(seed).normal(0.0, 10.0, ts.size)
    return Table(name, ts, ts + NS_PER_HOUR, bps, np.array(["RANGING", "CHOPPY"])[hour % 2])


@pytest.mark.req("REG-12")
def test_hours_that_pay_among_hours_that_do_not_are_found_and_earn_their_place() -> None:
    (found,) = learn([table(1, good_bps=3.0, other_bps=-1.0)], By.HOUR)
    assert found.parts == ("13", "14", "15")
    assert found.earned
    assert found.reason == ""
    assert found.window_bps > found.always_bps
    assert found.low is not None
    assert found.low > 0.0
    assert found.left_out > 0.8 * found.seen_later


@pytest.mark.req("REG-12")
def test_chance_alone_earns_no_place() -> None:
    """At 5 % over all instruments together: of 30 families of four, one or two are to be expected, five or more one time in fifty."""
    wrong = 0
    for family in range(30):
        tables = [table(1000 + 4 * family + i, days=120, name=f"P{i}-USD.X") for i in range(4)]
        wrong += any(one.earned for one in learn(tables, By.HOUR))
    assert wrong <= 4


@pytest.mark.req("REG-12")
@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"good_bps": -2.0, "other_bps": -2.0}, "not a matter of hours"),
        ({"good_bps": 2.0, "other_bps": 2.0}, "no part of the day is worth leaving out"),
    ],
)
def test_what_is_good_or_bad_at_every_hour_is_no_matter_of_hours(given: dict[str, float], why: str) -> None:
    (found,) = learn([table(2, days=600, **given)], By.HOUR)
    assert not found.earned
    assert why in found.reason


@pytest.mark.req("REG-12")
def test_a_few_outcomes_say_nothing_and_none_are_no_error() -> None:
    few = Table("A-B.X", *(column[:20] for column in table(3)[1:]))
    none = Table("A-B.X", *(column[:0] for column in table(3)[1:]))
    for one in learn([few, none], By.HOUR):
        assert not one.earned
        assert one.reason


@pytest.mark.req("REG-12")
@given(st.integers(0, 50), st.integers(1, 5))
def test_the_window_of_a_time_knows_nothing_of_what_came_later(seed: int, fold: int) -> None:
    """Everything that was not over when a fold began is replaced: the decisions up to its end stay."""
    real = table(seed, days=30, good_bps=2.0, other_bps=-2.0)
    start, end = real.ts.size * fold // 6, real.ts.size * (fold + 1) // 6
    bps = np.where(real.known < real.ts[start], real.bps, -50.0 * real.bps)
    labels = places(real.ts, By.HOUR)
    first, kept = walk_forward(real, labels, By.HOUR, Preferences())
    _, again = walk_forward(real._replace(bps=bps), labels, By.HOUR, Preferences())
    assert np.array_equal(kept[: end - first], again[: end - first])


@pytest.mark.req("REG-12")
@given(
    st.integers(0, 20),
    st.sets(st.sampled_from(EVERY_HOUR), max_size=6),
    st.sets(st.sampled_from(EVERY_HOUR), max_size=6),
)
def test_what_the_user_wants_bounds_every_window(seed: int, always: set[str], never: set[str]) -> None:
    of, wishes = table(seed, days=10), Preferences(tuple(sorted(always)), tuple(sorted(never)))
    chosen = window(of.bps, places(of.ts, By.HOUR), By.HOUR, wishes)
    inside = {name for name, at in zip(EVERY_HOUR, chosen.tolist(), strict=True) if at}
    assert always - never <= inside
    assert not never & inside


@pytest.mark.req("REG-12")
def test_a_part_without_outcomes_is_traded_where_the_instrument_earns_something() -> None:
    of = table(4, days=40, good_bps=5.0, other_bps=5.0)
    night = places(of.ts, By.HOUR) != 3
    for sign in (1.0, -1.0):
        chosen = window(sign * of.bps[night], places(of.ts, By.HOUR)[night], By.HOUR, Preferences())
        assert bool(chosen[3]) is (sign > 0)


@pytest.mark.req("REG-12")
def test_parts_of_regimes_are_drawn_to_the_mean_of_the_instrument_and_count_its_outcomes() -> None:
    of = table(5, days=50, good_bps=4.0)
    parts = [part for part in parts_of(of, By.HOUR) if part.n]
    assert sum(part.n for part in parts if not part.regime) == of.ts.size
    assert sum(part.n for part in parts if part.regime) == of.ts.size
    center = float(of.bps.mean())
    for part in parts:
        assert part.mean_bps is not None
        assert part.shrunk_bps is not None
        assert abs(part.shrunk_bps - center) <= abs(part.mean_bps - center) + 1e-12


@pytest.mark.req("REG-12")
def test_hours_follow_the_clock_of_their_zone_and_sessions_their_names() -> None:
    ts = np.array([from_datetime(datetime(2024, month, 10, 12, tzinfo=UTC)) for month in (1, 7)])
    assert places(ts, By.HOUR).tolist() == [12, 12]
    assert places(ts, By.HOUR, "Europe/London").tolist() == [12, 13]
    assert [names(By.SESSION)[at] for at in places(ts, By.SESSION).tolist()] == ["London", "New York"]


@pytest.mark.req("REG-12")
@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Australia/Adelaide", "Asia/Kathmandu", "Europe/London"])
def test_an_hour_begins_by_its_own_clock_also_where_that_is_half_past_in_utc(zone: str) -> None:
    """As the guardian counts it: what is learned is what it will trade."""
    windows, ts = WindowSettings(hours={"*": (9,)}, zone=zone), MONDAY + np.arange(96 * 7) * NS_PER_HOUR // 4 - 1
    inside = places(ts, By.HOUR, zone) == 9
    assert [windows.admits(instrument("EUR-USD.X"), at) for at in ts.tolist()] == inside.tolist()


# --- the file -------------------------------------------------------------------------------------------------------------


def learned(name: str, parts: tuple[str, ...], *, earned: bool = True) -> Window:
    return Window(name, parts, 100, 80, 40, -10.0, 20.0, -0.5, 1.0, 0.3, 0.1, 0.5, 0.01, earned, "" if earned else "no")


@pytest.mark.req("REG-12")
@pytest.mark.parametrize("by", list(By))
def test_the_guardian_trades_the_hours_that_were_learned_and_all_of_what_has_not_earned_its_place(
    by: By, tmp_path: Path
) -> None:
    parts = ("07", "08", "13") if by is By.HOUR else ("London", "Closed")
    windows = [learned("EUR-USD.X", parts), learned("GBP-USD.X", parts, earned=False)]
    path = tmp_path / "windows.toml"
    assert write(path, windows, by, zone="Europe/London", outside_factor=0.25, source="a test") == ["EUR-USD.X"]
    settings = section(tomllib.loads(path.read_text()), "risk_guardian", Settings).windows
    assert settings.outside_factor == 0.25
    ts = MONDAY + np.arange(0, 24 * 200) * NS_PER_HOUR + 7
    inside = np.isin(places(ts, by, "Europe/London"), [names(by).index(part) for part in parts])
    assert [settings.admits(instrument("EUR-USD.Y"), at) for at in ts.tolist()] == inside.tolist()
    assert all(settings.admits(instrument("GBP-USD.X"), at) for at in ts.tolist())


@pytest.mark.req("REG-12")
def test_two_venues_of_one_symbol_keep_their_own_windows(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    write(
        path, [learned("A-B.X", ("07",)), learned("A-B.Y", ("08",))], By.HOUR, zone="UTC", outside_factor=0.0, source=""
    )
    hours: dict[str, Any] = tomllib.loads(path.read_text())["risk_guardian"]["windows"]["hours"]
    assert hours == {"A-B.X": [7], "A-B.Y": [8]}


@pytest.mark.req("REG-12")
def test_without_a_window_that_has_earned_its_place_no_file_is_written(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    assert (
        write(path, [learned("A-B.X", ("07",), earned=False)], By.HOUR, zone="UTC", outside_factor=0.0, source="") == []
    )
    assert not path.exists()


@pytest.mark.req("REG-12")
@pytest.mark.parametrize(
    ("text", "by", "expected"),
    [
        ("7-10,20", By.HOUR, ("07", "08", "09", "20")),
        ("22-2", By.HOUR, ("22", "23", "00", "01")),
        ("23-24", By.HOUR, ("23",)),
        ("", By.HOUR, ()),
        ("London, New York", By.SESSION, ("London", "New York")),
    ],
)
def test_hours_and_sessions_are_named_as_people_do(text: str, by: By, expected: tuple[str, ...]) -> None:
    assert preferred(text, by, "--always") == expected


@pytest.mark.req("REG-12")
@pytest.mark.parametrize(
    ("text", "by"), [("25", By.HOUR), ("7-", By.HOUR), ("7-7", By.HOUR), ("noon", By.HOUR), ("Paris", By.SESSION)]
)
def test_what_is_no_hour_and_no_session_is_refused(text: str, by: By) -> None:
    with pytest.raises(ConfigError, match=r"--never .*: expected"):
        preferred(text, by, "--never")
