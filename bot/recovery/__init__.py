"""Heal what broke: gently first, within a budget, and never against a deployment or a person."""
