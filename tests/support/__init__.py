"""What integration tests share."""
