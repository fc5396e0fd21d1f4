"""Read what a compose file says to this product: the entries of `x-deploy`."""
