"""The figures of `ballast bench latency`."""

from __future__ import annotations

from ballast_cli.latency import _quantiles


def test_quantiles_interpolate_between_the_times_measured() -> None:
    assert _quantiles([float(time) for time in range(1001)]) == {"p50": 500.0, "p99": 990.0, "p99_9": 999.0}
    assert _quantiles([1.0, 2.0]) == {"p50": 1.5, "p99": 1.99, "p99_9": 2.0}
    assert _quantiles([3.14159]) == {"p50": 3.14, "p99": 3.14, "p99_9": 3.14}


def test_quantiles_do_not_depend_on_the_order_of_the_times() -> None:
    assert _quantiles([5.0, 1.0, 3.0]) == _quantiles([1.0, 3.0, 5.0])
