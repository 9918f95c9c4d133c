"""Paths keep what they are made after (instruments, times, first prices, dependence) and are the same for the same words."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from common.errors import DataError
from common.model.time import from_datetime
from market_data.feeds import open_feed
from market_data.feeds.column_feed import ColumnFeed
from market_data.feeds.garch import Garch, fit, simulate, variances
from market_data.feeds.path_models import CRASH_SLIDE, KINDS
from market_data.settings import Settings
from market_data.source import FeedSource

pytestmark = pytest.mark.req("RES-08")
SETTINGS = Settings()
KIND = pytest.mark.parametrize("kind", list(KINDS))
MAJORS = Settings(symbols=("AUD-USD", "EUR-USD", "GBP-USD", "USD-CAD"))


def feed(spec: str, settings: Settings = SETTINGS) -> ColumnFeed:
    return open_feed(spec, settings=settings)


def returns(of: ColumnFeed) -> np.ndarray:
    """Log returns, bars x instruments; all have the same bars."""
    return np.diff(np.log(np.column_stack([rows.values["close"] for rows in of.rows])), axis=0)


@KIND
@pytest.mark.parametrize("base", ["builtin", "builtin-h1", "synthetic:calm"])
def test_a_path_has_the_instruments_times_and_first_prices_of_the_real_data_and_bars_that_hold_together(
    kind: str, base: str
) -> None:
    real, path = feed(base), feed(f"paths:{kind}:3:{base}")
    assert path.instruments == real.instruments
    assert path.base_timeframes == real.base_timeframes
    for before, after in zip(real.rows, path.rows, strict=True):
        # Rows that validation refuses have no place in a path.
        assert np.isin(after.ts, before.ts).all()
        assert before.ts.size - after.ts.size <= 2
        opened, high, low, closed = (after.values[name] for name in ("open", "high", "low", "close"))
        assert closed[0] == pytest.approx(before.values["close"][0], rel=1e-4)
        assert (low > 0).all()
        assert (high >= np.maximum(opened, closed)).all()
        assert (low <= np.minimum(opened, closed)).all()
    assert not np.array_equal(path.rows[0].values["close"], real.rows[0].values["close"])


@KIND
def test_the_same_words_give_the_same_prices_and_another_seed_others(kind: str) -> None:
    first, again, other = (feed(f"paths:{kind}:{seed}:builtin-h1").rows[0].values for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["close"], other["close"])


@KIND
def test_a_fixing_stays_a_price_without_a_range(kind: str) -> None:
    path = feed(f"paths:{kind}:1:builtin", MAJORS)
    assert all(instrument.close_only for instrument in path.instruments)
    for rows in path.rows:
        assert all(np.array_equal(rows.values[name], rows.values["close"]) for name in ("open", "high", "low"))


@KIND
def test_instruments_move_together_as_they_did(kind: str) -> None:
    real = np.corrcoef(returns(feed("builtin", MAJORS)).T)
    drawn = np.corrcoef(returns(feed(f"paths:{kind}:5:builtin", MAJORS)).T)
    assert drawn == pytest.approx(real, abs=0.12)


@KIND
def test_nearly_every_bar_of_a_path_is_believed(kind: str) -> None:
    said = FeedSource(SETTINGS, feed(f"paths:{kind}:1:builtin-h1")).messages()
    ended = list(said)[-1]
    assert ended.quarantined <= 2  # type: ignore[attr-defined]


# arch 8.0.0 on the same returns: zero mean, GARCH(1, 1), Student t; it fits the long-run variance too.
@pytest.mark.parametrize(
    ("symbol", "alpha", "beta", "freedom"), [("EUR-USD", 0.0292, 0.9687, 7.650), ("USD-JPY", 0.0439, 0.9521, 5.648)]
)
def test_garch_agrees_with_the_package_arch_on_fifteen_years_of_fixings(
    symbol: str, alpha: float, beta: float, freedom: float
) -> None:
    start, end = (from_datetime(datetime(year, 1, 1, tzinfo=UTC)) for year in (2005, 2020))
    real = open_feed("builtin", settings=Settings(symbols=(symbol,)), start_ns=start, end_ns=end)
    found = fit(returns(real)[:, 0])
    assert found.alpha == pytest.approx(alpha, abs=0.005)
    assert found.beta == pytest.approx(beta, abs=0.005)
    assert found.freedom == pytest.approx(freedom, abs=0.3)


def test_garch_is_found_again_in_what_it_made() -> None:
    rng = np.random.default_rng(1)
    truth = Garch(1e-4, alpha=0.08, beta=0.9, freedom=6.0)
    innovations = rng.standard_t(6, (4_000, 1)) * np.sqrt(4 / 6)
    made = simulate([truth], innovations, np.ones((4_000, 1), dtype=bool))[:, 0]
    found = fit(made)
    assert found.alpha == pytest.approx(0.08, abs=0.03)
    assert found.beta == pytest.approx(0.9, abs=0.04)
    assert found.freedom == pytest.approx(6.0, abs=1.5)
    # The filter undoes the simulation.
    assert made / np.sqrt(variances(made, truth)) == pytest.approx(innovations[:, 0], rel=1e-9)


def test_time_stands_still_for_an_instrument_without_a_bar() -> None:
    model = Garch(1e-4, alpha=0.1, beta=0.8, freedom=6.0)
    there = np.array([[True], [False], [True]])
    made = simulate([model], np.array([[2.0], [9.0], [1.0]]), there)[:, 0]
    assert made[1] == 0.0
    assert made[2] == pytest.approx(np.sqrt(1e-5 + 0.1 * made[0] ** 2 + 0.8e-4))


def test_volatility_comes_in_clusters_in_garch_and_bootstrap() -> None:
    for kind in ("garch", "bootstrap"):
        size = np.abs(returns(feed(f"paths:{kind}:1:builtin", MAJORS))[:, 0])
        near = np.mean([np.corrcoef(size[lag:], size[:-lag])[0, 1] for lag in range(1, 11)])
        assert near > 0.05, kind


def test_jumps_fatten_the_tails_of_all_at_once() -> None:
    moves = returns(feed("paths:jumps:1:builtin", MAJORS))
    unit = moves / np.median(np.abs(moves), axis=0) / 1.4826
    jumps = np.abs(unit[:, 0]) > 5
    # 170 jumps in 28 years with a deviation of 4: some 22 % of them are that large. Diffusion alone has none.
    assert 20 < jumps.sum() < 60
    assert (np.abs(unit[jumps, 1]) > 3).mean() > 0.5


def test_in_a_crash_nothing_diversifies() -> None:
    real, path = returns(feed("builtin", MAJORS)), returns(feed("paths:crash:4:builtin", MAJORS))
    lost = np.array([np.abs(path[i : i + 5].sum(axis=0) / real.std(axis=0)).min() for i in range(len(path) - 5)])
    start = int(lost.argmax())
    # Every single instrument, within a week; chance moves each by some 4 deviations.
    assert lost[start] > 0.4 * CRASH_SLIDE
    assert np.argsort(lost)[-2] in range(start - 3, start + 4)
    assert (path[start + 5 : start + 10].std(axis=0) > 1.2 * real.std(axis=0)).mean() > 0.7


def test_the_bootstrap_repeats_rows_whole_and_in_blocks() -> None:
    real, path = returns(feed("builtin", MAJORS)), returns(feed("paths:bootstrap:1:builtin", MAJORS))
    far = np.array([np.abs(real - row).max(axis=1) for row in path[:400]])
    assert far.min(axis=1).max() < 3e-4  # what rounding to a tenth of a pip leaves
    assert (np.diff(far.argmin(axis=1)) == 1).mean() > 0.8


def test_bars_of_the_bootstrap_keep_their_hour() -> None:
    real, path = feed("builtin-h1").rows[0], feed("paths:bootstrap:1:builtin-h1").rows[0]
    hour = (real.ts - 1) // 3_600_000_000_000 % 24
    ranges = [np.log(rows.values["high"] / rows.values["low"]) for rows in (real, path)]
    by_hour = [np.array([spread[hour == h].mean() for h in range(24)]) for spread in ranges]
    assert np.corrcoef(*by_hour)[0, 1] > 0.8


def test_a_path_of_a_path_is_a_path() -> None:
    assert feed("paths:crash:1:paths:bootstrap:2:builtin-h1").rows[0].ts.size > 6_000


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("paths:warp:1:builtin", "expected one of garch, jumps, crash, bootstrap"),
        ("paths:crash:-1:builtin", "paths:KIND:SEED:DATA"),
        ("paths:crash:1:nowhere", "'nowhere': no such directory"),
    ],
)
def test_what_is_no_path_is_refused_with_what_was_expected(spec: str, named: str) -> None:
    with pytest.raises(DataError, match=named):
        feed(spec)


def test_too_few_bars_and_a_price_that_never_moves_are_refused(tmp_path: Path) -> None:
    def write(closes: list[float]) -> None:
        lines = [f"2024-01-{1 + i // 24:02}T{i % 24:02}:00:00Z,{px},{px},{px},{px}" for i, px in enumerate(closes)]
        (tmp_path / "EURUSD_1h.csv").write_text("\n".join(["timestamp,open,high,low,close", *lines]))

    write([1.1 + 0.001 * (i % 3) for i in range(99)])
    with pytest.raises(DataError, match="99 usable bars, expected at least 100"):
        feed(f"paths:crash:1:{tmp_path}")
    write([1.1] * 200)
    with pytest.raises(DataError, match="never moves"):
        feed(f"paths:crash:1:{tmp_path}")


def test_ticks_are_refused(tmp_path: Path) -> None:
    (tmp_path / "EURUSD.csv").write_text("timestamp,bid,ask\n2024-01-01T00:00:01Z,1.1,1.2\n")
    with pytest.raises(DataError, match="has ticks, expected bars"):
        feed(f"paths:crash:1:{tmp_path}")
