"""What every test of the workspace shares."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent
SHARED_DATA = ROOT.parent / "shared" / "data"

pytest.register_assert_rewrite("common.testing", "tests.support")  # so that what fails there shows its values

# The same examples on every run, so that a red build is red on every machine. `HYPOTHESIS_PROFILE=explore` searches anew.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure() -> None:
    """A shell without job control starts what runs in the background deaf to Ctrl-C, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything under tests/integration starts real servers."""
    for item in items:
        if (ROOT / "tests" / "integration") in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real market data beside the checkout; a test that needs it is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs real market data in {SHARED_DATA}")
    return SHARED_DATA
