"""Prices as they happen: connections to venues, and the source that makes steps of them on the wall clock."""
