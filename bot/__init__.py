"""Deploy, watch and roll back a Docker Compose stack from a Discord channel."""

__version__ = "0.1.0"
