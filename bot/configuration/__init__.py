"""Read `roas.toml`: the place of each setting in it, the line, and what is wrong with it."""
