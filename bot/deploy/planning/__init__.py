"""Plan what a deployment or a rollback would change, and say why."""
