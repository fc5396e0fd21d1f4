"""Judge a new version by its users' requests, beside the old one."""
