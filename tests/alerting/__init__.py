"""Alerts from end to end: the shipped rules in a real Prometheus and Alertmanager, and a webhook that listens."""
