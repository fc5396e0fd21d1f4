"""Write services to a Swarm, and follow each write until it is certain what became of it."""
