"""Hold the plain data that every other package speaks in; imports nothing of ours."""
