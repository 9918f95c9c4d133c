"""Backtests: the same cores in one process."""
