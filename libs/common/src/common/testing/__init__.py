"""What tests share: example messages, strategies for arbitrary ones, and suites that every implementation must pass."""
