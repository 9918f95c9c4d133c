"""Drills: real processes on real servers are killed, frozen, cut off and starved, and what must hold is counted."""
