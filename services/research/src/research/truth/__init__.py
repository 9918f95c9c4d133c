"""What a backtest must stand: other futures, later starts, single features off, other ways to run it."""
