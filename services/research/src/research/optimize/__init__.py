"""Searching for parameters without fooling oneself: search spaces, studies that resume, walk-forward (RES-05, PLT-12)."""
