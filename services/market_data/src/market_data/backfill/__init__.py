"""Bars of the past from venues, into files that a run reads: asked for politely, once, and never half written (MKT-05)."""
