"""The whole application on a real engine: what it promises, seen from Docker."""
