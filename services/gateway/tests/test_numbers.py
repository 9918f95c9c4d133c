"""Numbers as the page writes them: what a coin costs and how little of it is held must be readable."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.pages import STATIC

pytestmark = pytest.mark.req("GTW-03")
NODE = shutil.which("node")

WRITTEN = {
    "price(9.51501e-7)": "0.000000951501",
    "price(2.5e-8)": "0.000000025",
    "price(1.34989)": "1.34989",
    "price(67891.23)": "67,891.23",
    "price(1250437.456)": "1,250,437.46",
    'price("98765432.1")': "98,765,432.1",
    'quantity("-0.02286", "exceptZero")': "-0.02286",
    'quantity("0.49889")': "0.49889",
    "quantity(28858)": "28,858",
    'quantity("0E-8", "exceptZero")': "0",
    "amount(-0.00123)": "-0.0012",
    "amount(82.5)": "+82.50",
    "amount(0)": "0.00",
    "signed(-0.3)": "0",
    "signed(0.3)": "0",
    "grouped(-0.3)": "0",
    "signed(1234.5)": "+1,235",
    "price(null)": "–",
    'quantity("")': "–",
}


@pytest.mark.skipif(NODE is None, reason="needs node, the nearest thing to a browser that a terminal has")
def test_no_quantity_is_rounded_to_nothing_and_no_price_loses_digits_before_the_point(tmp_path: Path) -> None:
    script = tmp_path / "numbers.mjs"
    said = ", ".join(f"tools.{call}" for call in WRITTEN)
    script.write_text(f"import * as tools from './tools.mjs';\nconsole.log(JSON.stringify([{said}]));\n")
    shutil.copy(STATIC / "tools.js", tmp_path / "tools.mjs")
    answer = subprocess.run([str(NODE), str(script)], capture_output=True, text=True, check=True, timeout=60)
    assert dict(zip(WRITTEN, json.loads(answer.stdout), strict=True)) == WRITTEN
