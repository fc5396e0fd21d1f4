"""Hold one check a file; a check is added by adding a file."""
