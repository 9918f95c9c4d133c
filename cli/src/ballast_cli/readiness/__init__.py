"""`ballast readiness` (MON-04): exercises every control of the system that runs here and says what it saw."""
