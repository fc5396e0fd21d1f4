"""Make releases of resolved stacks, and bring them back under today's policy and credentials."""
