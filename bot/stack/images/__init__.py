"""Have the images of services: looked up, pulled, built, and named so that pruning leaves them alone."""
