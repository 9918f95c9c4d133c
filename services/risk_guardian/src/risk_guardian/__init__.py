"""The veto between every idea and every order: its own process, prices and account."""
