"""Read the settings from the environment, `.env` and `roas.toml`: what is in force, whence, and what is wrong."""
