"""What each message adds to the history, as values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from common import messages as m
from common.contracts import ALL
from common.messages.base import Message
from common.messages.market_data import Bar, EconomicEvent
from common.testing import strategies
from common.testing.builders import EUR_USD, ORDER_ID, STRATEGY, T0, a, envelope
from recorder.projections import COLUMNS, RULES, project

pytestmark = pytest.mark.req("MON-02")

ONLY_ON_THE_TAPE = {
    m.InstrumentsDefined,
    m.MarketDataEnded,
    m.ExecutionStep,
    m.FinancingCharged,
    m.Reconciled,
    m.VenueReported,
    m.VenueSnapshot,
    m.VenueConnection,
    m.ServiceStarted,
}


def written(message: Message, table: str) -> list[dict[str, Any]]:
    """The rows of one table, by column, without what is None."""
    rows = [write.row for write in project(42, envelope(message), message) if write.table == table]
    return [{n: v for n, v in zip(COLUMNS[table], row, strict=True) if v is not None} for row in rows]


def test_every_message_is_projected_or_only_kept_on_the_tape() -> None:
    assert set(RULES) == set(ALL) - ONLY_ON_THE_TAPE


@given(strategies.messages())
def test_every_row_has_a_value_for_each_column(message: Message) -> None:
    for table, row in project(42, envelope(message), message):
        assert len(row) == len(COLUMNS[table])


def test_a_proposed_order_is_an_order_and_an_event_with_its_reason() -> None:
    (order,) = written(a(m.PortfolioStep), "orders")
    assert (order["client_order_id"], order["state"], order["reason"]) == (ORDER_ID, "PROPOSED", "new signal")
    assert (order["qty"], order["first_seq"], order["ts_first"]) == (Decimal(1000), 42, T0)
    assert written(a(m.PortfolioStep), "order_events") == [
        {
            "seq": 42,
            "item": 0,
            "ts_event": T0,
            "type": "portfolio.step.v1",
            "client_order_id": ORDER_ID,
            "instrument_id": EUR_USD,
            "state": "PROPOSED",
            "note": "new signal",
        }
    ]


def test_an_event_changes_only_what_it_knows_of_an_order() -> None:
    (order,) = written(a(m.OrderAccepted), "orders")
    assert order == {
        "client_order_id": ORDER_ID,
        "account": "paper",
        "strategy_id": STRATEGY,
        "instrument_id": EUR_USD,
        "state": "ACCEPTED",
        "venue_order_id": "paper-7",
        "first_seq": 42,
        "last_seq": 42,
        "ts_first": T0,
        "ts_last": T0,
    }


@pytest.mark.parametrize(
    ("message", "state", "note"),
    [
        (a(m.OrderApproved), "APPROVED", "MAX_POSITION: 1500 > 1000"),
        (a(m.OrderApproved, rule=""), "APPROVED", "every check passed"),
        (a(m.OrderDenied), "DENIED", "MAX_NOTIONAL: 1041.20 against 1000, by risk_guardian; order of 1041.20 USD"),
        (a(m.OrderSubmitted), "SUBMITTED", "intent recorded"),
        (a(m.OrderRejected), "REJECTED", "market closed"),
        (a(m.OrderFilled), "PARTIALLY_FILLED", "600 at 1.0413, 0.96 bps slippage"),
        (a(m.OrderFilled, leaves_qty=Decimal(0)), "FILLED", "600 at 1.0413, 0.96 bps slippage"),
        (a(m.OrderCanceled), "CANCELED", "halted"),
        (a(m.OrderExpired), "EXPIRED", "400 left at the end of its time in force"),
    ],
)
def test_an_order_event_says_the_new_state_and_why(message: Message, state: str, note: str) -> None:
    (event,) = written(message, "order_events")
    assert (event["state"], event["note"]) == (state, note)
    assert written(message, "orders")[0]["state"] == state


def test_a_fill_is_kept_whole() -> None:
    (fill,) = written(a(m.OrderFilled), "fills")
    assert (fill["last_qty"], fill["last_px"], fill["slippage_bps"]) == (Decimal(600), Decimal("1.0413"), 0.96)


def test_a_reading_and_a_signal_are_rows_of_their_own() -> None:
    (reading,) = written(a(m.RegimeStep), "market_regimes")
    assert (reading["item"], reading["regime"], reading["adx"]) == (0, "TRENDING_UP", 31.0)
    (signal,) = written(a(m.SignalsStep), "strategy_signals")
    assert (signal["strategy_id"], signal["direction"]) == (STRATEGY, "LONG")


@pytest.mark.req("REG-01", "REG-05", "REG-07", "REG-08")
def test_models_and_the_market_as_a_whole_are_rows_beside_the_readings() -> None:
    (reading,) = written(a(m.RegimeStep), "market_regimes")
    (model,) = written(a(m.RegimeStep), "regime_models")
    (stress,) = written(a(m.RegimeStep), "market_stress")
    assert reading["override"] == "anna"
    assert (model["instrument_id"], model["timeframe"], model["bull"], model["change_48h"]) == (EUR_USD, "1h", 0.7, 0.4)
    assert (stress["stress_score"], stress["crisis"], stress["liquidity"]) == (0.3, False, 0.5)
    assert written(a(m.RegimeStep, models=(), market=None), "market_stress") == []


def test_every_bar_is_kept_with_its_place_in_the_slice() -> None:
    bars = (a(Bar, close=1.1), a(Bar, close=1.2, timeframe="1d", base=False))
    kept = written(a(m.MarketSlice, bars=bars), "market_bars")
    assert [(one["item"], one["timeframe"], one["close"], one["base"]) for one in kept] == [
        (0, "1h", 1.1, True),
        (1, "1d", 1.2, False),
    ]


@pytest.mark.req("MKT-07")
def test_scheduled_events_say_how_far_their_message_reaches() -> None:
    first, last = (a(EconomicEvent, ts_event=T0 + at) for at in (1, 9))
    kept = written(a(m.EventsScheduled, events=(first, last)), "economic_events")
    assert [(one["ts_event"], one["ts_scheduled"], one["ts_until"]) for one in kept] == [
        (T0, T0 + 1, T0 + 9),
        (T0, T0 + 9, T0 + 9),
    ]


@pytest.mark.req("MKT-02", "REG-08")
def test_feeds_and_overrides_are_kept_whole() -> None:
    (feed,) = written(a(m.FeedChanged), "feed_changes")
    assert (feed["feed"], feed["active"], feed["score"]) == ("oanda", True, 0.97)
    (lifted,) = written(a(m.RegimeOverridden, regime=None), "regime_overrides")
    assert ("regime" in lifted, lifted["author"], lifted["reason"]) == (False, "anna", "rate decision")


def test_steps_of_portfolio_and_guardian_make_the_equity_curve() -> None:
    assert written(a(m.PortfolioStep), "portfolio_steps")[0]["total_risk"] == Decimal("20.82")
    (risk,) = written(a(m.RiskStep, equity=None), "portfolio_risk_metrics")
    assert "equity" not in risk
    assert (risk["drawdown"], risk["exposure_factor"]) == (0.00485, 0.75)


@pytest.mark.parametrize(
    ("message", "severity", "title"),
    [
        (a(m.TradingStateChanged), "critical", "Trading is HALTED"),
        (a(m.TradingStateChanged, state="ACTIVE"), "info", "Trading is ACTIVE"),
        (a(m.LadderChanged), "warning", "Ladder drawdown: level 0 to 1"),
        (a(m.LadderChanged, level=0, previous=1), "info", "Ladder drawdown: level 1 to 0"),
        (a(m.GuardianLost), "critical", "The risk guardian is silent"),
        (a(m.IntentFailed), "warning", f"Order {ORDER_ID} not sent: INTENT_NOT_RECORDED"),
    ],
)
def test_what_somebody_should_look_at_is_an_alert(message: Message, severity: str, title: str) -> None:
    (alert,) = written(message, "alerts")
    assert (alert["severity"], alert["title"]) == (severity, title)


def test_commands_are_audited_with_author_and_reason() -> None:
    (entry,) = written(a(m.HaltTrading), "audit_log")
    assert (entry["action"], entry["author"], entry["reason"], entry["flatten"]) == ("halt", "operator", "drill", True)
    assert written(a(m.ResumeTrading), "audit_log")[0]["action"] == "resume"


@pytest.mark.req("RES-06")
def test_a_change_of_parameters_is_a_row_for_each_key() -> None:
    one, other = (m.control.ParameterMoved(key=key, before=None, after="7") for key in ("a", "b"))
    rows = written(a(m.ParametersChanged, moved=(one, other)), "parameter_history")
    assert [(row["item"], row["key"], row.get("before"), row["after"]) for row in rows] == [
        (0, "a", None, "7"),
        (1, "b", None, "7"),
    ]
    assert (rows[0]["step"], rows[0]["steps"], rows[0]["author"]) == (1, 4, "operator")


@pytest.mark.req("RES-06")
def test_a_decision_that_moves_nothing_is_a_row_without_a_key() -> None:
    (row,) = written(a(m.ParametersChanged, moved=(), action="test"), "parameter_history")
    assert (row["action"], "key" in row) == ("test", False)


@pytest.mark.req("RES-06")
@pytest.mark.parametrize(("action", "alerts"), [("propose", 0), ("step", 0), ("rollback", 1), ("reset", 1)])
def test_parameters_taken_back_are_an_alert(action: str, alerts: int) -> None:
    assert len(written(a(m.ParametersChanged, action=action), "alerts")) == alerts
