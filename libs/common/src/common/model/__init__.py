"""Nouns of the trading domain. Frozen values, no I/O."""
