"""Bring services to a release: their containers, their replicas in turn, behind their proxy, judged as a canary."""
