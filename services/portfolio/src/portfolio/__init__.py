"""Many opinions, one target book."""
