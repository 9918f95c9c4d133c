"""Scenarios are data that is checked when read; what the book loses in them adds up."""

from __future__ import annotations

from decimal import Decimal
from math import nan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError
from common.model.enums import AssetClass
from common.model.instrument import Instrument
from common.model.ledger import Position
from common.runtime import codec
from common.testing.builders import a
from risk_guardian.measures import Measures, MeasureSettings
from risk_guardian.scenarios import SHIPPED, load, read
from risk_guardian.state import State
from risk_guardian.stress import Stress

DATA = Path(__file__).parents[4] / "shared" / "data"
CLASS = {"FX": AssetClass.FX, "CRYPTO": AssetClass.CRYPTO, "EQUITY": AssetClass.EQUITY}


def instrument(text: str) -> Instrument:
    """`FX EUR-USD.ECB`, `EQUITY XLK.US`."""
    kind, _, instrument_id = text.partition(" ")
    symbol = instrument_id.rpartition(".")[0]
    base, _, quote = symbol.partition("-")
    return a(Instrument, instrument_id=instrument_id, asset_class=CLASS[kind], base=base, quote=quote or "USD")


BOOK = {
    each.instrument_id: each
    for each in map(
        instrument,
        (
            "FX EUR-USD.ECB",
            "FX GBP-USD.ECB",
            "FX USD-JPY.ECB",
            "FX EUR-GBP.ECB",
            "FX USD-ISK.ECB",
            "CRYPTO BTC-USDT.BINANCE",
            "CRYPTO ETH-BTC.BINANCE",
            "CRYPTO SOL-USDC.KRAKEN",
            "CRYPTO USDC-USD.KRAKEN",
            "EQUITY XLF.US",
            "EQUITY AAPL.US",
        ),
    )
}
SIGMA = np.array([0.006, 0.006, 0.007, 0.004, nan, 0.04, 0.03, 0.06, 0.001, 0.015, nan])
WHOLE = Stress(load(), BOOK, "USD")
weights = st.lists(st.floats(-3, 3), min_size=len(BOOK), max_size=len(BOOK)).map(np.array)


def book(**named: float) -> np.ndarray:
    """Weights by the part of the instrument id before the dot, `_` for `-`."""
    found = np.zeros(len(BOOK))
    for name, weight in named.items():
        row = next(row for row, each in enumerate(BOOK) if each.startswith(name.replace("_", "-") + "."))
        found[row] = weight
    return found


def loss(scenario: str, **named: float) -> float:
    return float(WHOLE.losses(book(**named), SIGMA)[WHOLE.names.index(scenario)])


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text('description = "mine"\n' + text)
    return path


# --- laws ------------------------------------------------------------------------------------------------------------


@pytest.mark.req("RSK-10")
@given(weights)
def test_the_parts_add_up_to_the_loss_exactly_and_both_ways_of_counting_agree(held):
    results, losses = WHOLE.results(held, SIGMA), WHOLE.losses(held, SIGMA)
    assert [each.scenario for each in results] == list(WHOLE.names)
    for each, expected in zip(results, losses, strict=True):
        assert each.loss == sum(each.by_instrument.values())
        assert each.loss == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert set(each.by_instrument) == {name for name, weight in zip(BOOK, held, strict=True) if weight}


@given(weights, st.floats(0.1, 10))
def test_a_larger_book_loses_in_proportion_but_at_a_venue_that_fails(held, factor):
    once, scaled = WHOLE.losses(held, SIGMA), WHOLE.losses(held * factor, SIGMA)
    sized = np.array([name != "venue_failure" for name in WHOLE.names])
    assert scaled[sized] == pytest.approx(once[sized] * factor, rel=1e-9, abs=1e-9)
    assert scaled[~sized] == pytest.approx(once[~sized], rel=1e-9)


@given(weights)
def test_the_worst_scenario_is_one_that_a_smaller_position_would_soften(held):
    name, worst = WHOLE.worst(held, SIGMA)
    others = [
        loss for each, loss in zip(WHOLE.names, WHOLE.losses(held, SIGMA), strict=True) if each != "venue_failure"
    ]
    assert worst == max(others)
    assert name != "venue_failure"


@pytest.mark.req("RSK-10")
@given(weights)
def test_the_joint_loss_is_that_of_the_covariance_matrix(held):
    sigma = np.where(np.isnan(SIGMA), [0.006] * 10 + [0.015], SIGMA)
    alone = np.abs(held) * sigma
    correlation = np.full((alone.size, alone.size), 0.95)
    np.fill_diagonal(correlation, 1.0)
    expected = 3 * np.sqrt(alone @ correlation @ alone)
    found = WHOLE.losses(held, SIGMA)[WHOLE.names.index("correlation_to_one")]
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


# --- what ships ------------------------------------------------------------------------------------------------------


@pytest.mark.req("RSK-10")
def test_every_scenario_of_the_requirement_ships():
    hypothetical = {"btc_minus_50", "correlation_to_one", "venue_failure", "stablecoin_depeg", "fx_shock", "rate_shock"}
    episodes = {"fx_2008_10", "gbp_2016_06_24", "march_2020", "crypto_2021_05_19", "crypto_2022_11", "usdc_2023_03"}
    assert set(WHOLE.names) == hypothetical | episodes


@pytest.mark.req("RSK-10")
def test_half_of_bitcoin_is_half_of_what_is_held_and_a_short_gains_it():
    assert loss("btc_minus_50", BTC_USDT=0.4) == pytest.approx(0.2)
    assert loss("btc_minus_50", BTC_USDT=-0.4) == pytest.approx(-0.2)
    assert loss("btc_minus_50", SOL_USDC=0.1) == pytest.approx(0.08)
    assert loss("btc_minus_50", EUR_USD=1.0, USDC_USD=1.0, XLF=1.0) == 0.0


@pytest.mark.req("RSK-10")
def test_the_pound_of_2016_moves_every_pair_it_is_in():
    assert loss("gbp_2016_06_24", GBP_USD=1.0) == pytest.approx(0.1191)
    assert loss("gbp_2016_06_24", EUR_GBP=-1.0) == pytest.approx(0.0942)
    assert loss("gbp_2016_06_24", USD_JPY=1.0) == pytest.approx(0.0796)  # in dollars: the yen's gain
    assert loss("gbp_2016_06_24", USD_ISK=1.0) == loss("gbp_2016_06_24", USD_ISK=-1.0) == pytest.approx(0.04)


def test_a_loss_is_counted_in_the_currency_of_the_account():
    pairs = {name: BOOK[name] for name in ("EUR-USD.ECB",)}
    euros = Stress(load(), pairs, "EUR")
    # The euro falls 4.52 %: a euro account that is long the euro loses more of its smaller euros.
    found = euros.losses(np.array([1.0]), np.array([0.006]))[euros.names.index("gbp_2016_06_24")]
    assert found == pytest.approx(0.0452 / (1 - 0.0452))


@pytest.mark.req("RSK-10")
def test_the_dollar_moves_the_worse_way():
    assert loss("fx_shock", EUR_USD=1.0) == loss("fx_shock", EUR_USD=-1.0) == pytest.approx(0.1)
    assert loss("fx_shock", EUR_USD=1.0, USD_JPY=1.0) == pytest.approx(0.0)  # long and short of the dollar
    assert loss("fx_shock", EUR_USD=1.0, USD_JPY=-1.0) == pytest.approx(0.2)


@pytest.mark.req("RSK-10")
def test_a_depeg_costs_both_sides_of_what_is_quoted_in_the_coin():
    assert loss("stablecoin_depeg", BTC_USDT=0.5) == loss("stablecoin_depeg", BTC_USDT=-0.5) == pytest.approx(0.05)
    assert loss("stablecoin_depeg", USDC_USD=0.5) == pytest.approx(0.05)
    assert loss("stablecoin_depeg", ETH_BTC=0.5, EUR_USD=1.0) == 0.0


@pytest.mark.req("RSK-10")
def test_the_venue_that_holds_most_is_the_one_that_fails():
    assert loss("venue_failure", EUR_USD=2.0) == pytest.approx(0.7)  # all of it lies there
    assert loss("venue_failure", BTC_USDT=0.1, SOL_USDC=-0.3) == pytest.approx(0.7 * 0.75)
    assert loss("venue_failure") == 0.0


@pytest.mark.req("RSK-10")
@pytest.mark.parametrize(
    ("scenario", "coin", "file", "start", "end"),
    [
        ("crypto_2021_05_19", "BTC", "crypto/bars/BTCUSD_M30_2017-2023_snowguru", "2021-05-19", "2021-05-20"),
        ("crypto_2021_05_19", "ETH", "crypto/bars/ETHUSD_M30_2017-2023_snowguru", "2021-05-19", "2021-05-20"),
        ("crypto_2022_11", "BTC", "crypto/bars/BTCUSD_M30_2017-2023_snowguru", "2022-11-05", "2022-11-15"),
        ("march_2020", "BTC", "crypto/bars/BTCUSD_M30_2017-2023_snowguru", "2020-03-01", "2020-04-01"),
        ("march_2020", "GBP", "fx/h1/GBPUSD_H1_2013-2020_ejtrader", "2020-03-01", "2020-04-01"),
        ("gbp_2016_06_24", "GBP", "fx/h1/GBPUSD_H1_2013-2020_ejtrader", "2016-06-23", "2016-06-25"),
        ("fx_2008_10", "GBP", "fx/d1/GBPUSD_D1_2007-2020_snowguru", "2008-09-01", "2008-11-01"),
        ("fx_2008_10", "AUD", "fx/d1/AUDUSD_D1_2007-2020_snowguru", "2008-09-01", "2008-11-01"),
        ("usdc_2023_03", "USDC", "crypto/venues_m1/kraken_USDCUSD_1m_20230301-20230314", "2023-03-10", "2023-03-14"),
    ],
)
def test_an_episode_says_what_the_data_say(scenario, coin, file, start, end):
    if not DATA.is_dir():
        pytest.skip(f"needs the recorded prices in {DATA}")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(DATA / f"{file}.parquet", columns=["timestamp", "open", "high", "low"])
    ts = table["timestamp"].to_numpy().astype("datetime64[ns]")
    inside = (ts >= np.datetime64(start)) & (ts < np.datetime64(end))
    opened, high, low = (table[name].to_numpy()[inside] for name in ("open", "high", "low"))
    # A bar's low counts against highs of bars before it, and against its own open.
    peak = np.maximum.accumulate(np.maximum(opened, np.concatenate(([opened[0]], high[:-1]))))
    kind = "FX" if file.startswith("fx") else "CRYPTO"
    move, _ = load()[scenario].move(instrument(f"{kind} {coin}-USD.X"), "USD")
    assert move == pytest.approx(float(np.min(low / peak - 1)), abs=6e-5)


# --- files of one's own ----------------------------------------------------------------------------------------------


@pytest.mark.req("RSK-10")
def test_a_folder_of_ones_own_adds_scenarios_and_replaces_those_of_the_same_name(tmp_path):
    (tmp_path / "aapl.toml").write_text(
        'description = "one share"\nlimit = 0.05\n[[shocks]]\ninstruments = ["AAPL.*"]\nmove = -0.3\n'
    )
    (tmp_path / "fx_shock.toml").write_text('description = "other"\n[default.FX]\nagainst = 0.2\n')
    found = load(str(tmp_path))
    assert set(found) == set(load()) | {"aapl"}
    assert found["fx_shock"].description == "other"
    assert Stress(found, BOOK, "USD").breach(book(AAPL=0.2), SIGMA) == ("aapl", pytest.approx(0.06), 0.05)
    assert Stress(found, BOOK, "USD").breach(book(AAPL=0.1), SIGMA) is None
    (result,) = [each for each in Stress(found, BOOK, "USD").results(book(AAPL=0.2), SIGMA) if each.scenario == "aapl"]
    assert (result.breached, result.limit) == (True, 0.05)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[shocks]]\nbase = ['BTC']\nmove = -1.5", r"shocks\[0\]\.move: Expected `float` >= -1"),
        ("[[shocks]]\nbase = ['BTC']", "Expected one of `move` and `against`"),
        ("[[shocks]]\nbase = ['BTC']\nmove = 0.1\nagainst = 0.1", "Expected one of `move` and `against`"),
        ("[[shocks]]\nmove = 0.1", "for the rest there is"),
        ("", "Expected at least one of `shocks`"),
        ("[joint]\nsigmas = 3", "joint: Object missing required field `correlation`"),
        ("[default.BONDS]\nmove = 0.1", "BONDS"),
        ("limits = 0.1\n[venue]\nrecovery = 0.5", "unknown field `limits`"),
        ("limit = [", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_the_key_and_what_was_expected(tmp_path, text, complaint):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=complaint) as error:
        read(path)
    assert str(error.value).startswith(str(path))


def test_a_folder_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"scenarios_dir = '/nowhere': expected a folder"):
        load("/nowhere")


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "none.toml")


def test_scenarios_travel_with_the_package():
    assert {path.stem for path in SHIPPED.glob("*.toml")} == set(load())


# --- on the book of the guardian -------------------------------------------------------------------------------------


@pytest.mark.req("RSK-10")
def test_a_stress_test_is_said_for_the_book_of_now():
    eur = BOOK["EUR-USD.ECB"]
    state = State(book="fx", instruments={eur.instrument_id: eur}, equity=Decimal(100_000), ts=5, step=3)
    measures = Measures(MeasureSettings(), "USD", load())
    measures.define(state)
    state.measures.history.now[0] = 1.2
    state.ledger.positions[eur.instrument_id] = Position(
        instrument_id=eur.instrument_id, signed_qty=Decimal(50_000), avg_px=Decimal(1)
    )
    said = measures.stressed(state, "schedule")
    by_name = {each.scenario: each for each in said.results}
    assert by_name["fx_shock"].by_instrument == pytest.approx({eur.instrument_id: 0.06})
    assert by_name["fx_2008_10"].loss == pytest.approx(0.6 * 0.1705)
    assert measures.evaluate(state).worst_scenario == "fx_2008_10"
    assert codec.encode(said)
    state.equity = None
    assert measures.stressed(state, "schedule").results == ()
