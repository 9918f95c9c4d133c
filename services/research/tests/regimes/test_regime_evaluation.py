"""The evaluation as a whole: nobody beats the exact filter, real labels are read as they are written, jumps are found."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pytest

from common.errors import DataError
from common.model.time import NS_PER_HOUR, Timeframe, iso
from regime.models import load_models
from regime.settings import Settings
from research.regimes import given, spikes
from research.regimes.evaluate import CEILING, MODELS, RATES, Field, Labeled, of_world
from research.regimes.judges import Series
from research.regimes.labels import UNKNOWN
from research.regimes.markets import simulate
from research.regimes.report import page
from research.regimes.summary import Evaluation, as_json, of_fields
from research.regimes.worlds import BEAR, BULL, CRYPTO, EQUITY, SIDEWAYS, TRENDS

HOURS: Final = np.arange(1, 13, dtype=np.int64) * NS_PER_HOUR
MODELS_SHIPPED: Final = load_models("builtin")


@pytest.fixture(scope="module")
def field() -> Field:
    return of_world(msgspec.structs.replace(CRYPTO, bars=6_000), MODELS_SHIPPED, Settings(), progress=lambda what: None)


@pytest.fixture(scope="module")
def evaluation(field: Field) -> Evaluation:
    jumps = [
        spikes.measured("x", 2.0, [market], [spikes.alarms(market, Settings())["volatility raised"]])
        for market in [spikes.minute_market(2.0, 1)]
    ]
    return of_fields(MODELS_SHIPPED, (field,), (), tuple(jumps))


def series(name: str = "EUR-USD.LOCAL") -> Series:
    return Series(name, Timeframe.H1, HOURS, np.ones((12, 3)), np.zeros(12))


def written(folder: Path, *rows: str, head: str = "timestamp,instrument,label") -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


# --- labeled markets --------------------------------------------------------------------------------------------------
@pytest.mark.req("REG-09")
def test_nobody_beats_the_exact_filter_but_by_luck(field: Field) -> None:
    best = field.judges[CEILING]
    for who, score in field.judges.items():
        for mine, ceiling in ((score.trend, best.trend), (score.stress, best.stress)):
            assert mine.accuracy is not None
            assert ceiling.accuracy is not None
            assert ceiling.accuracy.high is not None
            assert mine.accuracy.value <= ceiling.accuracy.high, who


@pytest.mark.req("REG-09")
def test_every_judge_is_judged_on_the_same_bars(field: Field) -> None:
    counted = {
        tuple(np.sum(task.confusion, axis=1).tolist()) for score in field.judges.values() for task in (score.trend,)
    }
    assert len(counted) == 1
    assert sum(next(iter(counted))) == field.series * (6_000 - 500)


@pytest.mark.req("REG-09")
def test_warnings_are_more_often_right_the_more_false_alarms_are_allowed(field: Field) -> None:
    ahead = field.judges[CEILING].ahead
    assert tuple(each.rate for each in ahead) == RATES
    assert all(later.level <= before.level for before, later in pairwise(ahead))
    shares = [each.stress.share for each in ahead]
    assert shares == sorted(shares)
    for each in ahead:  # chosen on other seeds, so about as many as asked for
        assert each.trend.false_alarms == pytest.approx(each.rate, abs=0.05)


@pytest.mark.req("REG-09")
def test_the_aims_stand_beside_what_is_possible(evaluation: Evaluation) -> None:
    assert evaluation.judge == MODELS
    assert not set(evaluation.tuning_seeds) & set(evaluation.evaluation_seeds)
    for aim in evaluation.aims[:3]:
        assert aim.value is not None
        assert aim.possible is not None
        assert aim.reached == (aim.value >= aim.aim)
    told = as_json(evaluation)
    assert msgspec.convert(json.loads(json.dumps(told, allow_nan=False)), Evaluation) == evaluation


@pytest.mark.req("REG-09")
def test_what_is_possible_is_that_of_the_markets_that_the_judge_can_judge(field: Field) -> None:
    """Models of hours alone say nothing of days."""
    judges = {who: score for who, score in field.judges.items() if who != MODELS}
    dull = msgspec.structs.replace(judges[CEILING], trend=judges["rules"].trend, ahead=())
    other = msgspec.structs.replace(field, judges=judges | {CEILING: dull})
    alone, both = (of_fields(MODELS_SHIPPED, fields, ()).aims for fields in ((field,), (field, other)))
    assert both == alone


@pytest.mark.req("REG-09")
def test_the_page_shows_every_judge_and_loads_nothing(evaluation: Evaluation, field: Field) -> None:
    odd = msgspec.structs.replace(field, name="<b>mine</b>")
    shown = page(msgspec.structs.replace(evaluation, real=(odd,)))
    for who in field.judges:
        assert who in shown
    assert "<b>mine" not in shown
    assert "http" not in shown.replace("http-equiv", "")
    assert "nan" not in shown.lower().split()
    assert shown.count("<polyline") == 4  # two fields, the models and the exact filter


@pytest.mark.req("REG-09")
def test_the_same_command_gives_the_same_figures(field: Field) -> None:
    again = of_world(msgspec.structs.replace(CRYPTO, bars=6_000), MODELS_SHIPPED, Settings(), lambda what: None)
    assert again == field


# --- anyone's data ---------------------------------------------------------------------------------------------------------
@pytest.mark.req("REG-09")
def test_a_label_holds_until_the_next_of_its_kind(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "1970-01-01T02:00:00Z,EURUSD,bull",
        "1970-01-01T03:00:00Z,EURUSD,Stressed",
        "1970-01-01T05:00:00Z,EURUSD,TRENDING_DOWN",
        "1970-01-01T07:00:00Z,EURUSD,calm",
        "1970-01-01T09:00:00Z,EURUSD,ranging",
        "1970-01-01T11:00:00Z,EURUSD,unknown",
    )
    (found,) = given.match([series()], given.read_labels(path), path)
    # The bar that closes at 02:00 was over when the label began.
    assert found.trend.tolist() == [UNKNOWN, UNKNOWN, *[BULL] * 3, *[BEAR] * 4, *[SIDEWAYS] * 2, UNKNOWN]
    assert found.stressed.tolist() == [*[UNKNOWN] * 3, *[1] * 4, *[0] * 4, UNKNOWN]


@pytest.mark.req("REG-09")
def test_labels_written_with_the_times_of_a_price_file_are_those_of_the_same_bars(tmp_path: Path) -> None:
    """A price file says when a bar opens."""
    market = simulate(EQUITY, 1, 3_000)
    bars = Series("SPY.US", Timeframe.H1, market.ts, market.high_low_close, market.volume)
    by_rule = given.by_rule(bars)
    starts = np.flatnonzero(np.diff(by_rule.trend, prepend=-2))
    words = ("unknown", *TRENDS)
    rows = [f"{iso(int(bars.ts[i]) - NS_PER_HOUR)},SPY,{words[by_rule.trend[i] + 1]}" for i in starts.tolist()]
    path = written(tmp_path, *rows)
    (found,) = given.match([bars], given.read_labels(path), path)
    assert starts.size > 10
    assert found.trend.tolist() == by_rule.trend.tolist()


@pytest.mark.req("REG-09")
def test_a_regime_ends_the_stress_of_the_regime_before_it_and_uncertain_ends_both(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "1970-01-01T00:00:00Z,EURUSD,TRENDING_UP",
        "1970-01-01T02:00:00Z,EURUSD,VOLATILE",
        "1970-01-01T03:00:00Z,EURUSD,CRISIS",
        "1970-01-01T05:00:00Z,EURUSD,RANGING",
        "1970-01-01T07:00:00Z,EURUSD,UNCERTAIN",
        "1970-01-01T09:00:00Z,EURUSD,TRENDING_DOWN",
    )
    (found,) = given.match([series()], given.read_labels(path), path)
    assert found.trend.tolist() == [*[BULL] * 5, *[SIDEWAYS] * 2, UNKNOWN, UNKNOWN, *[BEAR] * 3]
    assert found.stressed.tolist() == [UNKNOWN, UNKNOWN, 1, 1, 1, 0, 0, *[UNKNOWN] * 5]


@pytest.mark.req("REG-09")
def test_labels_of_an_instrument_that_one_timeframe_has_too_little_of_are_those_of_the_other(tmp_path: Path) -> None:
    path = written(tmp_path, "1970-01-01T02:00:00Z,EURUSD,bull", "1970-01-01T02:00:00Z,GBPUSD,bear")
    daily = series()._replace(timeframe=Timeframe.D1)
    found = given.match([series(), series("GBP-USD.LOCAL"), daily], given.read_labels(path), path)
    assert [(one.series.name, one.series.timeframe) for one in found] == [
        ("EUR-USD.LOCAL", Timeframe.H1),
        ("EUR-USD.LOCAL", Timeframe.D1),
        ("GBP-USD.LOCAL", Timeframe.H1),
    ]


@pytest.mark.req("REG-06")
def test_chances_of_either_change_are_not_judged_by_labels_of_one_kind() -> None:
    market = simulate(CRYPTO, 1, 3_000)
    bars = Series("BTC-USD.X", Timeframe.H1, market.ts, market.high_low_close, market.volume)
    labeled = Labeled(bars, market.trend, market.stressed)
    bare = labeled._replace(stressed=np.full_like(labeled.stressed, UNKNOWN))
    both, one = (
        given.field_of("mine", "file", [each], MODELS_SHIPPED, Settings(), lambda what: None).judges[MODELS]
        for each in (labeled, bare)
    )
    assert both.change_48h is not None
    assert (one.change_24h, one.change_48h) == (None, None)
    assert one.trend == both.trend


@pytest.mark.req("REG-09")
def test_columns_may_be_in_capitals(tmp_path: Path) -> None:
    path = written(tmp_path, "1970-01-01T02:00:00Z,EURUSD,bull", head="TIMESTAMP,INSTRUMENT,LABEL")
    assert given.read_labels(path)["EURUSD"].trend == [(2 * NS_PER_HOUR, BULL)]


@pytest.mark.req("REG-09")
def test_prices_that_do_not_move_are_judged_by_whoever_can() -> None:
    still = Series("USD-HKD.LOCAL", Timeframe.H1, HOURS[0] * np.arange(1, 2_001), np.ones((2_000, 3)), np.zeros(2_000))
    found = given.field_of("still", "rule", [given.by_rule(still)], MODELS_SHIPPED, Settings(), lambda what: None)
    assert set(found.judges) == {"models", "rules", "rules, daily"}
    assert found.best_constant == {"trend": None, "stress": 1.0}


@pytest.mark.req("REG-09")
@pytest.mark.parametrize("name", ["EUR-USD.LOCAL", "EUR-USD", "EURUSD", "eur/usd"])
def test_an_instrument_may_be_written_as_people_do(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, f"1970-01-01T02:00:00Z,{name},bull")
    assert given.match([series()], given.read_labels(path), path)[0].series.name == "EUR-USD.LOCAL"


@pytest.mark.req("REG-09")
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["1970-01-01T02:00:00Z,EURUSD,up"], "line 2: label 'up'; expected one of bull"),
        (["1970-01-01T02:00:00Z,,bull"], "line 2: no instrument"),
        (["1970-01-01T02:00:00Z,EURUSD,bull", "soon,EURUSD,bear"], "line 3: no timestamp"),
        (["1970-01-01T02:00:00Z,EURUSD,bull", "1970-01-01T02:00:00Z,EURUSD,bear"], "line 3: .* is not after"),
        (["1970-01-01T02:00:00Z,GBPUSD,bull"], "'GBPUSD' is not in the data, which has EUR-USD.LOCAL"),
        (["1970-01-02T02:00:00Z,EURUSD,bull"], "no bar of the data has a label"),
        (["1970-01-01T02:00:00Z,EURUSD,bull", "", "1970-01-01T02:00:00Z,EURUSD,up"], "line 4: label 'up'"),
        (["1970-01-01T02:00:00Z,EURUSD,bull", "1970-01-01T03:00:00Z,EUR-USD,bear"], "'EURUSD' and 'EUR-USD' are one"),
        ([], "no row with a timestamp"),
    ],
)
def test_a_bad_label_is_one_clear_error(tmp_path: Path, rows: list[str], said: str) -> None:
    path = written(tmp_path, *rows)
    with pytest.raises(DataError, match=said):
        given.match([series()], given.read_labels(path), path)


@pytest.mark.req("REG-09")
def test_a_file_without_a_column_says_which(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column label; expected timestamp, instrument, label"):
        given.read_labels(written(tmp_path, "1970-01-01,EURUSD", head="timestamp,instrument"))


@pytest.mark.req("REG-09")
def test_real_series_are_judged_on_their_second_half_only() -> None:
    market = simulate(EQUITY, 1, 3_000)
    bars = Series("SPY.US", Timeframe.D1, market.ts, market.high_low_close, market.volume)
    labeled = given.by_rule(bars)
    found = given.field_of("mine", "rule", [labeled], MODELS_SHIPPED, Settings(), lambda what: None)
    counted = int(np.sum(found.judges["rules"].stress.confusion))
    assert counted == 1_500
    assert int(np.sum(found.judges["rules"].trend.confusion)) == int((labeled.trend[1_500:] >= 0).sum())


# --- jumps of volatility ------------------------------------------------------------------------------------------------
@pytest.mark.req("REG-02")
def test_a_jump_is_counted_by_the_minute_at_which_an_alarm_is_on() -> None:
    market = spikes.minute_market(2.0, 1)
    on = np.zeros(market.ts.size, bool)
    for jump, delay in zip(market.jumps.tolist(), (0, 4, 5, 29, 30), strict=False):
        on[jump + delay] = True
    found = spikes.measured("x", 2.0, [market], [on])
    assert found.jumps == market.jumps.size
    assert found.within_5_minutes == 2 / found.jumps
    assert found.found == 4 / found.jumps
    assert found.median == pytest.approx(np.median([1, 5, 6, 30]))
    assert found.false_alarms_a_day == 0


@pytest.mark.req("REG-02")
def test_alarms_in_calm_minutes_are_false() -> None:
    market = spikes.minute_market(2.0, 1)
    calm = spikes.calm_minutes(market)
    on = np.zeros(market.ts.size, bool)
    on[np.flatnonzero(calm)[100]] = True
    found = spikes.measured("x", 2.0, [market], [on])
    assert found.false_alarms_a_day == pytest.approx(1_440 / calm.sum())


@pytest.mark.req("REG-02")
def test_volatility_that_did_double_is_found_within_five_minutes() -> None:
    for found in spikes.look_for_jumps(Settings()):
        if found.alarm == "volatility raised or range spike":
            assert found.doubled > 50
            assert found.doubled_within_5_minutes == pytest.approx(1.0, abs=0.03)
            assert found.within_5_minutes > 2 * found.by_chance


@pytest.mark.req("REG-02")
def test_a_greater_jump_moves_prices_as_much_further() -> None:
    small, great = spikes.minute_market(1.0, 1), spikes.minute_market(5.0, 1)
    ranges = [market.high_low_close[:, 0] / market.high_low_close[:, 1] - 1.0 for market in (small, great)]
    jumping = np.zeros(small.ts.size, bool)
    for jump in small.jumps.tolist():
        jumping[jump : jump + spikes.LENGTH] = True
    assert np.median(ranges[1][jumping] / ranges[0][jumping]) == pytest.approx(5.0, rel=0.02)
    np.testing.assert_allclose(ranges[1][~jumping], ranges[0][~jumping], rtol=1e-6, atol=1e-12)
