"""Kinds of market: labels after the fact, models fitted to them, and how good a verdict is."""
