"""Speak to the Compose CLI: build argument lists, run them, and read its faults."""
