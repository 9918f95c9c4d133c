"""How long to wait before asking a venue again (EXE-02)."""

from __future__ import annotations

from hashlib import blake2b

from execution.settings import RetrySettings


def backoff_s(settings: RetrySettings, client_order_id: str, failures: int, at_least_s: float = 0.0) -> float:
    """After `failures` (>= 1) in a row: doubling from `base_s` to `cap_s`, times a share in [0.5, 1) that derives from the
    id, so that orders which failed together do not come back together. Never less than the venue asked for.
    """
    longest = min(settings.cap_s, settings.base_s * 2.0 ** min(failures - 1, 60))
    draw = blake2b(f"{client_order_id}:{failures}".encode(), digest_size=4).digest()
    share = 0.5 + int.from_bytes(draw, "big") / 2**33
    return max(longest * share, at_least_s)
