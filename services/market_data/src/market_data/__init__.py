"""Feeds, validation, bars: what happens in the markets, one slice a step."""
