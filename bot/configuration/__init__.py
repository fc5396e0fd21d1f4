"""Read `roas.toml`: where each setting stands in it, on which line, and what is wrong with it."""
