"""Turns approved orders into fills, and is the only one that talks to venues."""
