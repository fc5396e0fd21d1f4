"""Say which version this is: the one place that does."""

__version__ = "0.1.0"
