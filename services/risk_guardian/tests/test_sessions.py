"""When new risk may be taken, by the hours of the exchange."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import msgspec
import pytest

from common.messages.orders import Order
from common.model.enums import AssetClass
from common.model.instrument import Instrument
from common.model.time import from_datetime
from common.testing.builders import EUR_USD, a
from risk_guardian.checks import market_open
from risk_guardian.limits import Limits, Session


def is_closed(asset: AssetClass, *moment: int) -> bool:
    """In July 2018, by New York's clock."""
    instrument = msgspec.structs.replace(a(Instrument), asset_class=asset)
    ts = from_datetime(datetime(2018, 7, *moment, tzinfo=ZoneInfo("America/New_York")))  # type: ignore[arg-type]
    state = SimpleNamespace(ts=ts, instruments={EUR_USD: instrument})
    context = SimpleNamespace(limits=Limits(session=Session.US_EQUITIES), state=state, order=a(Order))
    return market_open(cast(Any, context)) is not None


@pytest.mark.req("RSK-02", "MKT-07")
@pytest.mark.parametrize(
    ("moment", "closed"),
    [((4, 12), True), ((3, 12), False), ((3, 13, 1), True), ((5, 9, 29), True), ((5, 9, 30), False), ((7, 12), True)],
)
def test_shares_take_new_risk_only_while_their_exchange_is_open(moment: tuple[int, ...], closed: bool) -> None:
    """The 4th is a holiday, the 3rd ends at 13:00."""
    assert is_closed(AssetClass.EQUITY, *moment) is closed


@pytest.mark.req("RSK-02", "MKT-07")
def test_the_exchanges_hours_bind_nothing_but_shares() -> None:
    assert not is_closed(AssetClass.CRYPTO, 4, 12)
    assert not is_closed(AssetClass.FX, 7, 12)
