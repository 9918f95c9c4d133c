"""Strategies, and what the framework makes of their opinions."""
