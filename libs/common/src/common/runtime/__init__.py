"""The only place with I/O: wires, servers, clocks, logs."""
