"""The checks, one a file; a check is added by adding a file."""
