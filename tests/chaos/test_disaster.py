"""The drill of PLT-11 in small."""

from __future__ import annotations

import pytest
from tests.chaos import disaster, disaster_outside
from tests.chaos.plant import plant
from tests.chaos.targets import missed
from tests.support.system import SPAN


@pytest.mark.integration
@pytest.mark.timeout(240)
@pytest.mark.req("PLT-11")
def test_a_destroyed_paper_system_comes_back_and_ends_with_the_digest_of_an_undisturbed_run() -> None:
    figures = disaster.drill(SPAN, speed="8")  # slow: an archive must be done before the data is over
    print(f"\n{figures}")
    assert missed({"disaster": figures}) == []


@pytest.mark.integration
@pytest.mark.timeout(180)
@pytest.mark.req("PLT-11", "EXE-01")
async def test_a_backup_older_than_what_the_venue_knows_doubles_no_order_and_halts_until_somebody_has_looked() -> None:
    async with plant() as made:
        figures = await disaster_outside.drill(made)
    print(f"\n{figures}")
    assert missed({"disaster_outside": figures}) == []
    assert figures["breaks"] == ["CASH USD", "ORDER_UNKNOWN EUR-USD.ECB", "POSITION GBP-USD.ECB"]
    assert figures["again"] == {"lost0": "OrderCanceled", "lost1": "denied"}
    assert figures["again_denied"] == ["lost1 RECONCILIATION_BREAK"]
    assert figures["placed"] == 5
