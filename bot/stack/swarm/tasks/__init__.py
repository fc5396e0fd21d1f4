"""Read the tasks of a Swarm's services: their state, their logs, the data in their containers."""
