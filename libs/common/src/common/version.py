"""Which code this is. Written by tools/contracts.py: the version of the package, and a fingerprint of all message schemas."""

from __future__ import annotations

from typing import Final

BUILD: Final = "0.1.0"
CONTRACTS: Final = "69cc26098afb2844"
