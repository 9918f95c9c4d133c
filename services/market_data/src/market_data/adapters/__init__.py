"""Live venues, one file each: what a venue says becomes events of `live.connection`. A new venue is one file here."""
