"""Many configurations of the shipped strategies in one compiled pass over the same prices (RES-04, SIG-02)."""
