"""The backtest that skips what changes nothing: the same orders, fills and equity as the plain run, bit for bit."""
