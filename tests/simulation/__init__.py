"""The whole system from one seed: real cores in real sessions on a broker, a venue and a disk that misbehave (RELIABILITY 9)."""
