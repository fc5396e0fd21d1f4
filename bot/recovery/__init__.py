"""Recover services that failed: gently first, within a budget, and never against a deployment or a person."""
