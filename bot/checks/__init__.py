"""Look at an environment before a deployment: what is wrong, how much it matters and how to fix it."""
