"""Ask Docker Engines by the Docker SDK, in threads: the one client."""
