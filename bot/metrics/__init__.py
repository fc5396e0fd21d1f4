"""Measure what the bot does and how well its parts work together, for Prometheus and for people."""
