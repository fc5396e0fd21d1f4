"""Resolve a stack's files to a model that needs nothing else than itself."""
