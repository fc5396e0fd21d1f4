"""A web service under load while it is replaced: which requests are lost, with which way of replacing it."""
