"""Act on single services of the release that runs: restart, stop, start, scale, keep; and set secrets of a Swarm."""
