"""Find out what else there is on the engine and on its machine."""
