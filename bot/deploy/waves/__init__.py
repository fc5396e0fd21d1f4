"""Move an environment on many hosts: each host by a deployment of its own, a few at a time, or all of them back."""
