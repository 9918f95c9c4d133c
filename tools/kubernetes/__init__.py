"""Checks deploy/k8s: every combination renders, is valid on three versions of Kubernetes, and agrees with the code."""
