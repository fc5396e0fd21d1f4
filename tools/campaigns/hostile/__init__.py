"""Attack the compose policy with a generated corpus; Compose itself says what each spelling means."""
