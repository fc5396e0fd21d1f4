"""Hold the plain data that every other package uses; imports nothing else of this product."""
