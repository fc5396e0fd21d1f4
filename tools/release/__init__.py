"""Make what a release of the project consists of, and check it. Nothing is ever uploaded."""
