"""Rates of a file become settings; a file that contradicts itself becomes none."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from common.errors import DataError
from execution.financing import FinancingSettings
from execution.short_rates import from_file, main

BODY = """timestamp,country,rate_pct
2019-11-01,USA,1.90
2019-12-01,USA,1.92
2020-01-01,USA,1.60
2019-12-01,DEU,-0.40
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rates.csv"
    path.write_text(BODY)
    return path


@pytest.mark.req("EXE-04")
def test_a_rate_is_known_when_its_month_is_over(file: Path) -> None:
    assert from_file(file, ["USD"]) == {
        "USD": [{"since": "2019-12-01", "rate": 0.019}, {"since": "2020-02-01", "rate": 0.016}]
    }
    assert from_file(file, ["EUR"])["EUR"] == [{"since": "2020-01-01", "rate": -0.004}]


@pytest.mark.req("EXE-04", "PLT-07")
def test_what_is_written_is_what_the_settings_read(file: Path) -> None:
    section = tomllib.loads(main([str(file), "EUR", "USD"]))["execution"]["financing"]
    settings = msgspec.convert(section, FinancingSettings)
    assert [len(settings.rates[name]) for name in ("EUR", "USD")] == [1, 2]
    assert msgspec.convert(msgspec.to_builtins(settings), FinancingSettings) == settings


@pytest.mark.req("EXE-04")
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("2019-12-01,USA,5.00\n", "USA has two rates for 2019-12-01"),
        ("2019-13-01,USA,5.00\n", "row 6: expected a date"),
        ("2019-10-01,USA,\n", "row 6: expected a date, a country and a number"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused(file: Path, line: str, says: str) -> None:
    file.write_text(BODY + line)
    with pytest.raises(DataError, match=says):
        from_file(file, ["USD"])


@pytest.mark.req("EXE-04")
def test_a_currency_without_a_rate_is_named(file: Path) -> None:
    with pytest.raises(DataError, match="no rate of JPN"):
        from_file(file, ["JPY"])
    with pytest.raises(DataError, match="'XAU': expected one of AUD"):
        from_file(file, ["XAU"])


@pytest.mark.req("EXE-04")
def test_the_oecd_file_at_hand_contradicts_itself_and_is_refused(shared_data: Path) -> None:
    """Its dates were lost on the way: of Germany in January 2000 it has 7.88 and 3.54 per cent."""
    with pytest.raises(DataError, match="DEU has two rates"):
        from_file(shared_data / "macro/oecd_short_term_rates_monthly.csv.gz", ["EUR"])
