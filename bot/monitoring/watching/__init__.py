"""Look at the stacks that run: by the engine's events, in samples, and against their releases."""
