"""`ballast optimize` and `ballast walkforward`: what is wrong is one line, before anything is computed or started."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import Ballast

from ballast_cli import output
from ballast_cli.walkforward_page import in_markdown
from research.optimize.luck import Luck
from research.optimize.splits import Fold, Span
from research.optimize.walk import UNDEFINED, FoldResult, Walked

DAY = 86_400 * 10**9


@pytest.mark.req("RES-05")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("optimize --objective speed", "--objective speed: expected one of sharpe"),
        ("optimize --constraint sharpe", "--constraint sharpe: expected a condition"),
        ("optimize --sampler grid", "--sampler grid: expected tpe, nsga2 or random"),
        ("optimize --objective sharpe --objective return --local 5", "--local 5: gradient ascent has one objective"),
        ("optimize --space nowhere.toml", "nowhere.toml: cannot be read"),
        ("optimize --from 2015-01-01 --to 2015-02-01 --purge-days 90", "--holdout 0.25 of"),
        (
            "optimize --from 2015-01-01 --to 2015-02-01 --workers few --storage sqlite://",
            "--workers few: expected a number",
        ),
        ("walkforward --train 8", "--train 8: expected a length such as 8y"),
        ("walkforward --scheme odd", "--scheme odd: expected one of anchored, rolling, cross"),
        ("walkforward --train 60y", "expected more than what is trained on"),
    ],
)
def test_what_is_wrong_is_one_line(ballast: Ballast, tmp_path: Path, arguments: str, complaint: str) -> None:
    said = ballast(*arguments.split())
    assert said.code == output.CONFIG
    assert complaint in said.err
    assert not (tmp_path / "home" / "postgres").exists()


def luck(trials: int) -> Luck:
    return Luck(trials=trials, sharpe=0.5, expected_of_luck=0.4, probabilistic_sharpe=0.9, deflated_sharpe=0.6)


@pytest.mark.req("RES-05")
def test_the_page_says_folds_parameters_the_whole_and_its_years() -> None:
    fold = Fold(number=1, train=(Span(0, 300 * DAY),), test=Span(310 * DAY, 800 * DAY))
    result = FoldResult(
        fold=fold,
        decided=12,
        failed=0,
        chosen={"portfolio.trade_band": 0.25},
        in_sample={**UNDEFINED, "sharpe": 1.25, "return": 0.1, "max_drawdown": 0.05},
        out_of_sample={**UNDEFINED, "sharpe": -0.5},
        shipped=UNDEFINED,
    )
    walked = Walked(
        folds=[result],
        whole=UNDEFINED,
        shipped=UNDEFINED,
        luck=luck(12),
        shipped_luck=luck(0),
        day_ns=[364 * DAY, 365 * DAY, 366 * DAY],  # midnight of New Year closes the year before
        curve=[1.05, 1.1, 1.21],
        shipped_curve=[1.0, 1.0, 0.9],
    )
    told: dict[str, object] = {
        "profile": "fx",
        "data": "builtin",
        "scheme": "anchored",
        "trials_per_fold": 12,
        "seed": 1,
    }
    told |= {"lengths": "--train 8y --test 3y", "trials": 12}
    costs = {"taker_bps": 0.2, "latency_ms": 50, "financing": True}
    page = in_markdown(
        {**told, "objective": "sharpe", "constraints": ["trades >= 30"], "costs": costs},
        ["portfolio.trade_band"],
        walked,
    )
    assert "| 1 | 1970-01-01 to 1970-10-28 | 1970-11-07 to 1972-03-11 | 1.25 | -0.50 | - | +10.00% |" in page
    assert "| 1 | 0.25 |" in page
    assert "deflated by 12 trials | 0.60 | - |" in page
    assert "| 1970 | +10.00% | +0.00% |\n| 1971 | +10.00% | -10.00% |" in page
    assert "--scheme anchored --train 8y --test 3y --trials 12 --write FILE" in page
    assert "subject to trades >= 30" in page
