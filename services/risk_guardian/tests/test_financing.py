"""The guardian's own ledger hears of interest, so that its equity is the account's."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from common.messages import FinancingCharged
from common.testing.builders import a


@pytest.mark.req("EXE-04", "RSK-01")
def test_interest_lowers_the_guardians_equity_by_what_was_paid(guard: Any) -> None:
    guardian = guard()
    guardian.hour(eur=1.1)
    before = guardian.core.state.equity
    guardian.tell(a(FinancingCharged, amount=Decimal("-12.5"), currency="USD"))
    guardian.hour(eur=1.1)
    assert guardian.core.state.equity == before - Decimal("12.5")
