"""A run as one page to read: what it did, what it cost, and how far it can be believed."""
