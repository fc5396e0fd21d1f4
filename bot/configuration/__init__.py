"""Read the settings from the environment, `.env` and `roas.toml`: what is in force, whence, and what is wrong."""

# Names the file of variables to read; `--env-file` sets it. An empty one says that there is none.
ENV_FILE = "ROAS_ENV_FILE"
