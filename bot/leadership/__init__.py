"""Decide which bot leads a journal, and run what only the leader does."""
