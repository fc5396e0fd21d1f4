"""Move an environment from one release to another, phase by phase."""
