"""Other parameters for a system that trades, safely (RES-06): in range, tested, in steps, watched, and always back."""
