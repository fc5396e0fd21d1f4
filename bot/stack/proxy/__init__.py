"""The proxy in front of a service: it stops sending requests to a container before that is stopped."""
