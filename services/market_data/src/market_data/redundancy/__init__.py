"""Several feeds of one instrument: how well each does, and whose prices are believed (MKT-02). Pure."""
