"""History in PostgreSQL, hot state in Redis: both are projections of the tape."""
