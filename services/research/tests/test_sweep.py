"""A sweep is one pass over the same prices: the same bits however it is cut, finished series survive a kill, bad ones are named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from common.errors import ConfigError, DataError
from common.quant.kernel import Floats
from common.runtime.settings import load
from research.sweep import bench, grid, run, store
from research.sweep.book import CASH, FINANCING, KEEP, POS, SUM, TRADES
from research.sweep.measures import Measured, Span
from research.sweep.ranking import rank
from research.sweep.series import Series, Terms, counted
from research.sweep.sweep import Swept, sweep

TERMS = Terms()
SMALL = """
symbols = ["EUR-USD", "USD-JPY"]
timeframes = ["1w", "1d"]
[[set]]
strategy = "sma_cross_20_50"
params = { fast = [5, 10, 20], slow = [30, 50] }
[[set]]
strategy = "pullback"
"""


def profile() -> dict[str, Any]:
    made = load("fx")
    made["run"] = {"data": "builtin"}
    return made


def written(folder: Path, text: str) -> grid.Grid:
    (folder / "grid.toml").write_text(text)
    return grid.load(folder / "grid.toml", profile())


@pytest.fixture(scope="module")
def market() -> Series:
    return bench.market(5_000)


def frame(of: Series, split: float | None = None) -> run.Frame:
    at = None if split is None else int(of.ts[int(split * of.ts.size)])
    return run.Frame(at, np.linspace(of.ts[0], at or of.ts[-1], 61).astype(np.int64))


def mixed() -> tuple[grid.Configuration, ...]:
    """A few of every shipped strategy."""
    found = grid.load(grid.BUNDLED, profile()).configurations
    return tuple(each for each in found if each.symbol == "EUR-USD" and each.timeframe == "1d")


def same(a: run.Outcome, b: run.Outcome) -> None:
    assert a.books.tobytes() == b.books.tobytes()
    assert a.later.tobytes() == b.later.tobytes()
    assert a.equity.tobytes() == b.equity.tobytes()


@pytest.mark.req("SIG-02")
def test_the_shipped_grid_lists_384_configurations_of_all_ten_strategies() -> None:
    found = grid.load(grid.BUNDLED, profile())
    assert (len(found.configurations), found.refused) == (384, ())
    assert len({each.name for each in found.configurations}) == 384
    assert {each.strategy for each in found.configurations} == set(grid.shipped())
    shipped = {(each.strategy, *each.params.items()) for each in found.configurations}
    for name, strategy in grid.shipped().items():
        assert (name, *grid.used(strategy).items()) in shipped


@pytest.mark.req("RES-04")
def test_a_sweep_agrees_with_a_kernel_written_by_hand() -> None:
    of, crosses = bench.market(20_000), bench.configurations()
    outcome = run.run(of, crosses, TERMS, frame(of))
    assert bench.agree(outcome, bench.by_hand(of, crosses, TERMS))
    assert outcome.books[FINANCING].min() > 0
    assert outcome.books[KEEP].min() < 0.99


@pytest.mark.req("RES-04")
@pytest.mark.parametrize("rows", [8, 129, 1_000])
def test_results_have_the_same_bits_whatever_the_length_of_a_block(
    market: Series, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run.run(market, mixed(), TERMS, frame(market, 0.6))
    monkeypatch.setattr(run, "BLOCK", rows)
    same(run.run(market, mixed(), TERMS, frame(market, 0.6)), expected)


@pytest.mark.req("RES-04")
def test_a_configuration_alone_has_the_same_bits_as_among_others(market: Series) -> None:
    together = run.run(market, mixed(), TERMS, frame(market))
    assert (together.books[KEEP] < 1).all()
    for c, one in enumerate(mixed()):
        alone = run.run(market, [one], TERMS, frame(market))
        assert alone.books[:, 0].tobytes() == together.books[:, c].tobytes(), one.name


@pytest.mark.req("RES-04")
def test_what_is_held_back_does_not_change_what_is_ranked(market: Series) -> None:
    prices, bars, cut = market.prices.copy(), market.bars.copy(), int(0.7 * market.ts.size) + 30
    prices[[0, 1, 2, 4, 5], cut:] *= 1.2
    bars[:, cut:] *= 1.2
    other = msgspec.structs.replace(market, prices=prices, bars=bars)
    ours, theirs = (run.run(each, mixed(), TERMS, frame(market, 0.7)) for each in (market, other))
    assert ours.books.tobytes() == theirs.books.tobytes()
    assert ours.equity.tobytes() == theirs.equity.tobytes()
    assert ours.later.tobytes() != theirs.later.tobytes()


def test_both_spans_together_are_the_whole(market: Series) -> None:
    whole, cut = (run.run(market, mixed(), TERMS, frame(market, split)) for split in (None, 0.5))
    assert np.array_equal(cut.later[POS], whole.books[POS])
    assert np.array_equal(cut.later[CASH], whole.books[CASH])
    assert np.array_equal(cut.books[TRADES] + cut.later[TRADES], whole.books[TRADES])
    assert np.allclose(cut.books[SUM] + cut.later[SUM], whole.books[SUM], rtol=1e-12, atol=1e-15)
    assert cut.days + cut.later_days == whole.days


@pytest.mark.req("RES-04")
def test_memory_does_not_grow_with_bars_times_configurations() -> None:
    def peak(bars: int, configurations: int) -> int:
        of, listed = bench.market(bars), bench.configurations()[:configurations]
        tracemalloc.start()
        run.run(of, listed, TERMS, frame(of))
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    longer, wider, both = peak(32_000, 32), peak(4_000, 256), peak(32_000, 256)
    assert both < longer + wider
    assert both < 32_000 * 256 * 8 / 2, "half of one number for each bar and configuration"


BAD = [
    ('strategy = "sma_cros"', "set 2: strategy = 'sma_cros'; expected one of"),
    ('strategy = "pullback"\nparams = { slw = 5 }', "set 2: params.slw = 5; pullback has fast, slow"),
    ('strategy = "pullback"\nparams = { fast = -5 }', "set 2: params.fast = -5; expected a number above 0"),
    ('strategy = "pullback"\nparams = { fast = 300 }', "set 2: params.fast = 300; expected less than slow = 200"),
    ('strategy = "pullback"\nparams = { fast = 2.5 }', "period 2.5: expected a whole number of bars"),
    ('strategy = "pullback"\ntimeframes = ["2d"]', "set 2: timeframes: '2d'; expected some of 1m"),
    ('strategy = "pullback"\nstop_fraction = 2.0', "set 2: Expected `float` < 1.0 - at `$.stop_fraction`"),
    ('strategy = "pullback"\ncolor = 1', "set 2: Object contains unknown field `color`"),
    ('strategy = "sma_cross_20_50"\nparams = { fast = 5, slow = 30 }', "is there already"),
]


@pytest.mark.req("RES-04")
@pytest.mark.parametrize(("table", "words"), BAD)
def test_a_bad_configuration_names_file_field_and_value_and_costs_nothing_else(
    tmp_path: Path, table: str, words: str
) -> None:
    good = """symbols = ["EUR-USD"]\ntimeframes = ["1d"]\n[[set]]\nstrategy = "sma_cross_20_50"\nparams = {fast = 5, slow = 30}\n"""
    found = written(tmp_path, f"{good}[[set]]\n{table}\n")
    assert len(found.configurations) == 1
    (refused,) = found.refused
    assert refused.where == "grid.toml: set 2"
    assert words in f"set 2: {refused.reason}"


def test_a_file_that_is_no_grid_is_an_error_that_names_it(tmp_path: Path) -> None:
    for text, words in (
        ("x = [", "expected a TOML file"),
        ("name = 'x'", "at least one"),
        ("sets = 1", "unknown sets"),
    ):
        with pytest.raises(ConfigError, match=words):
            written(tmp_path, text)
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        grid.load(tmp_path / "nowhere.toml", profile())


@pytest.mark.req("RES-04")
def test_symbols_and_timeframes_that_the_data_lacks_are_refused_and_the_rest_runs(tmp_path: Path) -> None:
    listed = written(tmp_path, SMALL.replace('"USD-JPY"', '"XAU-USD"').replace('"1w"', '"1h"'))
    swept = sweep(profile(), listed, tmp_path)
    assert [one.where for one in swept.refused] == [
        "EUR-USD 1h, 7 configurations",
        "XAU-USD 1h, 7 configurations",
        "XAU-USD 1d, 7 configurations",
    ]
    assert swept.ranking.trials == 7
    with pytest.raises(DataError, match="none of its configurations can run"):
        sweep(profile(), written(tmp_path, SMALL.replace('"EUR-USD", "USD-JPY"', '"XAU-USD"')), tmp_path)


@pytest.mark.req("RES-04")
def test_an_optional_strategy_is_refused_with_what_searches_it(tmp_path: Path) -> None:
    text = 'symbols = ["EUR-USD"]\ntimeframes = ["1d"]\n[[set]]\nstrategy = "breakout_adaptive"\n'
    said = r"can run: .*set 1: strategy = 'breakout_adaptive': it is optional, which `ballast optimize` can search"
    with pytest.raises(DataError, match=said):
        sweep(profile(), written(tmp_path, text), tmp_path)


def ranking(swept: Swept) -> bytes:
    return msgspec.json.encode(swept.ranking)


CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_sweep import SMALL, profile, written
from research.sweep.sweep import sweep
def progress(done, total):
    if done == int(sys.argv[3]):
        os.kill(os.getpid(), int(sys.argv[4]))
folder = Path(sys.argv[2])
sweep(profile(), written(folder, SMALL), folder, progress=progress)
"""


@pytest.mark.req("RES-04")
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_sweep_resumes_and_computes_nothing_twice(tmp_path: Path, sent: signal.Signals) -> None:
    whole = sweep(profile(), written(tmp_path, SMALL), tmp_path / "whole")
    arguments = [str(Path(__file__).parent), str(tmp_path), "3", str(int(sent))]
    child = subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, check=False)
    assert child.returncode == -sent
    (file,) = tmp_path.glob("*/series.jsonl")
    assert len(file.read_bytes().splitlines()) == 3
    file.write_bytes(file.read_bytes() + b'{"key":"half a li')
    resumed = sweep(profile(), written(tmp_path, SMALL), tmp_path, resume=True)
    assert (resumed.computed, resumed.taken) == (1, 3)
    assert ranking(resumed) == ranking(whole)
    assert len(file.read_bytes().splitlines()) == 4
    assert sweep(profile(), written(tmp_path, SMALL), tmp_path, resume=True).computed == 0
    assert sweep(profile(), written(tmp_path, SMALL), tmp_path).computed == 4


def test_other_costs_are_another_sweep(tmp_path: Path) -> None:
    sweep(profile(), written(tmp_path, SMALL), tmp_path)
    dearer = profile()
    for costs in ({"taker_bps": 5.0}, {"financing": {"markup": 0.01}}, {"slippage_bps": 1.0}):
        dearer["execution"] = costs
        assert sweep(dearer, written(tmp_path, SMALL), tmp_path, resume=True).taken == 0


def test_two_sweeps_never_write_the_same_store(tmp_path: Path) -> None:
    with store.opened(tmp_path, resume=True):
        pid = os.fork()
        if pid == 0:
            try:
                with store.opened(tmp_path, resume=False):
                    os._exit(1)
            except ConfigError:
                os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0


def measured(name: str, sharpe: float | None, trades: int = 30) -> Measured:
    span = Span(
        equity=1.0,
        days=10,
        sharpe=sharpe,
        sortino=None,
        max_drawdown=0.0,
        profit_factor=None,
        win_rate=None,
        trades=trades,
        fees=0.0,
        financing=0.0,
    )
    return Measured(name=name, in_sample=span, out_of_sample=None)


def curves(drift: Floats, seed: int = 1) -> Floats:
    returns = np.random.default_rng(seed).normal(0, 0.01, (240, drift.size)) + drift
    return np.cumprod(np.concatenate((np.ones((1, drift.size)), 1 + returns)), axis=0)


@pytest.mark.req("RES-04")
def test_the_best_of_many_worthless_configurations_is_called_luck_and_a_good_one_is_not() -> None:
    noise, skill = np.zeros(60), np.zeros(60)
    skill[7] = 0.004
    for drift, lucky in ((noise, True), (skill, False)):
        of = curves(drift)
        returns = of[1:] / of[:-1] - 1
        found = rank(
            [measured(f"c{c:02}", float(returns[:, c].mean() / returns[:, c].std())) for c in range(60)], of, 1.0, 5
        )
        best = found.ranked[0]
        assert found.pbo is not None
        assert best.deflated_sharpe is not None
        assert (best.deflated_sharpe < 0.9) is lucky
        assert (found.pbo > 0.2) is lucky
        assert best.sharpe_low is not None
        assert found.ranked[5].sharpe_low is None
    assert best.measured.name == "c07"


def test_what_never_traded_is_ranked_last_and_undefined() -> None:
    found = rank([measured("idle", None), measured("b", 0.5), measured("a", 0.5)], np.ones((241, 3)), 1.0, 3)
    assert [one.measured.name for one in found.ranked] == ["a", "b", "idle"]
    assert found.ranked[-1].deflated_sharpe is None
    assert found.ranked[-1].sharpe_low is None


@pytest.mark.req("RES-04")
def test_few_trades_are_ranked_behind_the_others_and_marked() -> None:
    listed = [measured("lucky", 3.0, 29), measured("poor", -1.0), measured("good", 0.5), measured("idle", None, 0)]
    found = rank(listed, np.ones((241, 4)), 1.0, 3)
    assert [one.measured.name for one in found.ranked] == ["good", "poor", "lucky", "idle"]
    assert [one.few_trades for one in found.ranked] == [False, False, True, True]
    assert rank(listed, np.ones((241, 4)), 1.0, 3, min_trades=29).ranked[0].measured.name == "lucky"


def test_the_costs_say_what_is_counted_and_what_is_not() -> None:
    assert counted(load("fx")) == "spread, commission, market impact where volumes are known, financing"
    dear = {"execution": {"impact": 0, "slippage_bps": 1, "financing": {"enabled": False}, "participation": 0.1}}
    assert counted(dear) == "spread, commission, slippage; not participation"
