"""RES-08: a whole backtest over what happened in crises, and over what could have happened instead."""
