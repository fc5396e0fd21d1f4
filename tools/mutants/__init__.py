"""Measure what the tests notice: the share of killed mutants of the rooms that decide."""
