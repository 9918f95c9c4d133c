"""A small venue of our own, on loopback: simple in what it trades, and able to misbehave on demand. For tests and drills."""
