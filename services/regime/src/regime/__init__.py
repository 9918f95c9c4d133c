"""What kind of market each instrument is in."""
